import type { JSX } from "preact";
import type { Peer } from "../../lib/client/rtc/api.ts";
import { CopyButton } from "../copy_button.tsx";
import { useObservable } from "../use_observable.ts";
import type { CallData } from "./call_data.ts";
import type { CallSession } from "./call_session.ts";
import type { CallState } from "./call_state.ts";
import { OwnTile, PeerTiles } from "./tile.tsx";
import { roomUrl } from "../room_name.ts";
import { PATH } from "./room_name.ts";

const NOBODY: readonly Peer<CallData>[] = [];

interface TileGridProps {
  readonly call: CallState;
  readonly session: CallSession;
  readonly showsDetails: boolean;
  readonly onBlocked: () => void;
}

/** Shows everyone in the call, and shared screens larger. */
export function TileGrid(
  { call, session, showsDetails, onBlocked }: TileGridProps,
): JSX.Element {
  const peers = useObservable(session.room.peers) ?? NOBODY;
  return (
    <div class="call-area">
      <ul class="call-grid" aria-label="People" data-people={Math.min(peers.length + 1, 7)}>
        {peers.map((peer) => (
          <PeerTiles
            key={peer.session}
            peer={peer}
            meter={call.meter}
            showsDetails={showsDetails}
            onBlocked={onBlocked}
          />
        ))}
        <OwnTile call={call} session={session} />
        {peers.length === 0 && <Invitation room={call.room} />}
      </ul>
    </div>
  );
}

/** Says how others get here. */
function Invitation({ room }: { readonly room: string }): JSX.Element {
  const link = `${location.origin}${roomUrl(PATH, room)}`;
  return (
    <li class="call-invitation">
      <p>Nobody else is here yet. Send them this link:</p>
      <p>
        <code>{link}</code>
      </p>
      <CopyButton text={link} what="to this call" label="Copy link" />
    </li>
  );
}
