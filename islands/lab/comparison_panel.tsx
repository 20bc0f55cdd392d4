import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { TRANSPORT_NAMES } from "../connection_state.tsx";
import { formatCount } from "../format.ts";
import { type ComparedLane, Comparison, TURN_MS } from "./comparison.ts";
import { duration, Figure, TimelineFrame, useTicks } from "./lane_parts.tsx";

interface ComparisonPanelProps {
  readonly channel: string;
  /** Says why WebTransport cannot take part. Undefined if it can, null if that is not known yet. */
  readonly missing: string | null | undefined;
}

/** Compares how long small events wait next to large ones. */
export function ComparisonPanel({ channel, missing }: ComparisonPanelProps): JSX.Element {
  const comparison = useRef<Comparison | undefined>(undefined);
  comparison.current ??= new Comparison(channel);
  const { lanes, running, endedAt, problem } = comparison.current;
  const isSlow = useSignal(true);
  useEffect(() => () => comparison.current?.[Symbol.dispose](), []);

  function start(): void {
    void comparison.current?.run(
      missing === undefined ? ["websocket", "webtransport"] : ["websocket"],
      isSlow.value,
    );
  }

  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h2 id="comparison-title">Large events next to small ones</h2>
      <p>
        One channel gets an event of 256 KiB twice a second, another one 20 small events a second.
        Each transport in turn carries both for {TURN_MS / 1_000}{" "}
        seconds. A WebSocket delivers everything in one order, so small events wait behind large
        ones. WebTransport has a stream for each channel.
      </p>
      <p>
        This matters where the network is slow or loses packets. On a fast one, such as inside one
        machine, both transports are alike. The slow link is simulated in this page: what arrives
        passes at 1 MB a second, and streams take turns packet by packet.
      </p>
      <div class="lab-publish">
        {running.value === undefined
          ? <button type="button" disabled={missing === null} onClick={start}>Compare</button>
          : (
            <button type="button" class="quiet" onClick={() => comparison.current?.stop()}>
              Stop
            </button>
          )}
        <fieldset class="segments">
          <legend>Link</legend>
          {[true, false].map((slow) => (
            <label key={String(slow)}>
              <input
                type="radio"
                name="link"
                disabled={running.value !== undefined}
                checked={isSlow.value === slow}
                onChange={() => isSlow.value = slow}
              />
              <span>{slow ? "slow" : "as it is"}</span>
            </label>
          ))}
        </fieldset>
        <span class="soft" role="status">
          {running.value !== undefined && `Running over ${TRANSPORT_NAMES[running.value]}`}
          {endedAt.value !== undefined && "Done"}
        </span>
        {problem.value !== undefined && (
          <span class="outcome is-error" role="alert">{problem.value}</span>
        )}
      </div>
      <div class="lanes">
        {lanes.value.map((lane) => (
          <ComparedPanel
            key={lane.transport}
            lane={lane}
            until={endedAt.value}
            missing={lane.transport === "webtransport" ? missing ?? undefined : undefined}
          />
        ))}
      </div>
    </section>
  );
}

interface ComparedPanelProps {
  readonly lane: ComparedLane;
  readonly until: number | undefined;
  readonly missing: string | undefined;
}

function ComparedPanel({ lane, until, missing }: ComparedPanelProps): JSX.Element {
  useTicks();
  const name = TRANSPORT_NAMES[lane.transport];
  return (
    <div class="card lane" data-compared={lane.transport}>
      <header>
        <h3>{name}</h3>
      </header>
      <TimelineFrame
        record={lane.record}
        until={until}
        label={`When the small events arrived over ${name}, and their latency`}
      />
      <dl class="lane-figures">
        <Figure name="Median" value={duration(lane.quantile(0.5))} id="p50" />
        <Figure name="99th percentile" value={duration(lane.quantile(0.99))} id="p99" />
        <Figure name="Small events" value={formatCount(lane.latencies.length)} id="small" />
        <Figure name="Large events" value={formatCount(lane.large)} id="large" />
      </dl>
      {missing !== undefined && <p class="empty">{missing}</p>}
    </div>
  );
}
