import type { JSX } from "preact";
import type { TransportName } from "../../lib/client/api.ts";
import { ConnectionState, TRANSPORT_NAMES } from "../connection_state.tsx";
import { formatBytes, formatCount } from "../format.ts";
import type { PeerState } from "../../lib/client/rtc/api.ts";
import type { Lane } from "./lane.ts";
import { duration, Figure, NONE, TimelineFrame, useTicks } from "./lane_parts.tsx";
import type { LaneView } from "./lane_view.ts";
import type { PeerLane } from "./peer_lane.ts";

/** Explains each transport in one or two sentences. */
const DESCRIPTIONS: Readonly<Record<TransportName, string>> = {
  "webtransport":
    "A stream for each channel in one connection by QUIC, so that none waits for another.",
  "websocket": "One connection in both directions. A batch of events is one frame.",
  "sse": "One endless response over plain HTTP, which every proxy supports.",
  "long-poll": "Each request waits for an event. Then the client sends the next one.",
  "short-poll": "A request at intervals, whether or not there are events.",
};

const PEER_DESCRIPTION =
  "Two peers in this page, connected by WebRTC. Events go from one to the other without the " +
  "server, which only introduced them. A cut takes both off the network.";

const PEER_STATUS: Readonly<Record<PeerState["status"], string>> = {
  connecting: "Connecting",
  connected: "Connected · WebRTC",
  disconnected: "Reconnecting",
  failed: "Can't connect",
  closed: "Closed",
};

interface TransportPanelProps {
  readonly transport: TransportName;
  /** Undefined until the page runs. */
  readonly lane: Lane | undefined;
  /** Says why there is no lane. */
  readonly missing: string | undefined;
}

/** The lane of one of the client's transports. */
export function TransportPanel({ transport, lane, missing }: TransportPanelProps): JSX.Element {
  return (
    <LanePanel
      id={transport}
      name={TRANSPORT_NAMES[transport]}
      about={DESCRIPTIONS[transport]}
      lane={lane}
      missing={missing}
      state={missing === undefined ? <ConnectionState weir={lane?.weir} /> : undefined}
    />
  );
}

interface PeerPanelProps {
  /** Undefined until the page runs. */
  readonly lane: PeerLane | undefined;
}

/** The lane between two peers. */
export function PeerPanel({ lane }: PeerPanelProps): JSX.Element {
  const status = lane?.status.value ?? "connecting";
  return (
    <LanePanel
      id="data-channel"
      name="data channel"
      about={PEER_DESCRIPTION}
      lane={lane}
      state={
        <span class="connection" data-status={status === "connected" ? "open" : "connecting"}>
          <span role="status">{PEER_STATUS[status]}</span>
        </span>
      }
    />
  );
}

interface LanePanelProps {
  readonly id: TransportName | "data-channel";
  readonly name: string;
  readonly about: string;
  readonly lane: LaneView | undefined;
  /** Says why there is no lane. */
  readonly missing?: string | undefined;
  /** Shows the state of the lane's connection. */
  readonly state: JSX.Element | undefined;
}

function LanePanel({ id, name, about, lane, missing, state }: LanePanelProps): JSX.Element {
  const title = `lane-${id}`;
  return (
    <section class="card lane" aria-labelledby={title} data-transport={id}>
      <header>
        <h2 id={title}>{name}</h2>
        {state}
      </header>
      <p class="lane-about">{about}</p>
      <TimelineFrame
        record={lane?.record}
        label={`The last 20 seconds of ${name}: when events arrived, and their latency`}
      />
      <Figures lane={lane} />
      {missing !== undefined && <p class="empty">{missing}</p>}
      {lane?.problem.value !== undefined && (
        <p class="outcome is-error" role="alert">{lane.problem.value}</p>
      )}
      <div class="lane-buttons">
        {lane?.isCut.value
          ? <button type="button" onClick={() => lane.resume()}>Resume</button>
          : (
            <button
              type="button"
              class="quiet"
              disabled={lane === undefined}
              onClick={() => lane?.cut()}
            >
              Cut
            </button>
          )}
        <button
          type="button"
          class="quiet"
          disabled={lane === undefined}
          aria-pressed={lane?.isThrottled.value ?? false}
          onClick={() => lane?.throttle(!lane.isThrottled.value)}
        >
          Throttle
        </button>
      </div>
    </section>
  );
}

function Figures({ lane }: { readonly lane: LaneView | undefined }): JSX.Element {
  useTicks();
  const record = lane?.record;
  const bytesPerEvent = record?.bytesPerEvent;
  return (
    <dl class="lane-figures">
      <Figure name="Latency" value={duration(record?.latency)} id="latency" />
      <Figure name="Median" value={duration(record?.medianLatency)} />
      <Figure name="Events" value={formatCount(record?.received ?? 0)} id="received" />
      <Figure name="Requests" value={formatCount(record?.requests ?? 0)} id="requests" />
      <Figure name="Bytes in" value={formatBytes(record?.bytesIn ?? 0)} />
      <Figure name="Bytes out" value={formatBytes(record?.bytesOut ?? 0)} />
      <Figure
        name="Bytes per event"
        value={bytesPerEvent === undefined ? NONE : formatBytes(Math.round(bytesPerEvent))}
      />
      <Figure
        name="Missing, repeated"
        value={`${formatCount(record?.missing ?? 0)}, ${formatCount(record?.repeated ?? 0)}`}
        id="faults"
      />
    </dl>
  );
}
