import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { formatCount, formatDuration, formatLocalTime, formatRate } from "../format.ts";
import { connectionsOf, type Summary } from "./summary.ts";
import type { DashboardView, IsolateView } from "./view.ts";

const COLUMNS: readonly {
  readonly label: string;
  readonly read: (now: Summary) => string | undefined;
}[] = [
  { label: "Connections", read: (now) => formatCount(connectionsOf(now)) },
  { label: "Publishes/s", read: ({ accepted }) => formatRate(accepted) },
  { label: "Deliveries/s", read: ({ delivered, caughtUp }) => formatRate(delivered + caughtUp) },
  { label: "Replay lag", read: ({ lag }) => formatCount(lag) },
  { label: "KV p99", read: ({ commit }) => commit && formatDuration(commit.p99) },
  { label: "Event loop p99", read: ({ eventLoop }) => eventLoop && formatDuration(eventLoop.p99) },
];

interface IsolatesProps {
  readonly view: ReadonlySignal<DashboardView | undefined>;
}

/** Lists the isolates that the charts add up, newest first. */
export function Isolates({ view }: IsolatesProps): JSX.Element {
  const isolates = view.value?.isolates.toReversed() ?? [];
  return (
    <section class="card isolates" aria-labelledby="isolates">
      <h2 id="isolates">Isolates</h2>
      <div class="scroll" role="region" aria-label="Isolates, table" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Isolate</th>
              <th scope="col">Started</th>
              {COLUMNS.map(({ label }) => <th scope="col" key={label}>{label}</th>)}
            </tr>
          </thead>
          <tbody>
            {isolates.map((isolate) => <Row key={isolate.isolate} {...isolate} />)}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({ isolate, started, now }: IsolateView): JSX.Element {
  return (
    <tr>
      <th scope="row">
        <code>{isolate}</code>
      </th>
      <td>{formatLocalTime(started)}</td>
      {now === undefined
        ? <td colSpan={COLUMNS.length} class="soft">stopped</td>
        : COLUMNS.map(({ label, read }) => <td key={label}>{read(now) ?? "–"}</td>)}
    </tr>
  );
}
