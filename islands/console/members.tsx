import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Weir } from "../../lib/client/api.ts";
import { currentClient } from "../current_client.ts";
import { formatClock, formatCount, formatDate } from "../format.ts";
import { useObservable } from "../use_observable.ts";
import { previewOf } from "./event_text.ts";

interface MembersProps {
  readonly channel: string;
  /** Whether the visitor has the right `presence`. */
  readonly isAllowed: boolean;
}

/** Lists the members of the channel. */
export function Members({ channel, isAllowed }: MembersProps): JSX.Element {
  if (!isAllowed) {
    return (
      <p class="empty hint">
        You don't have permission to see who is in <code>{channel}</code>. It requires the right
        {" "}
        <code>presence</code>.
      </p>
    );
  }
  const weir = currentClient.value;
  return weir === undefined
    ? <p class="empty hint">Not connected yet.</p>
    : <MemberTable channel={channel} weir={weir} />;
}

function MemberTable(
  { channel, weir }: { readonly channel: string; readonly weir: Weir },
): JSX.Element {
  const { members } = useMemo(() => weir.presence(channel), [weir, channel]);
  const present = useObservable(members) ?? [];
  if (present.length === 0) {
    return (
      <p class="empty hint">
        <strong>Nobody is here.</strong> Members join with <code>weir.presence().enter()</code>.
      </p>
    );
  }
  return (
    <div class="scrolled">
      <table>
        <caption>
          {formatCount(present.length)} {present.length === 1 ? "member" : "members"}
        </caption>
        <thead>
          <tr>
            <th scope="col">Member</th>
            <th scope="col">Data</th>
            <th scope="col">Since, UTC</th>
          </tr>
        </thead>
        <tbody>
          {present.map((one) => (
            <tr key={one.member}>
              <th scope="row">{one.member}</th>
              <td>
                <code>{one.data === null ? "" : previewOf(one)}</code>
              </td>
              <td>
                <time dateTime={one.since} title={formatDate(one.since)}>
                  {formatClock(one.since)}
                </time>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
