import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type TransportName, TRANSPORTS } from "../../lib/client/api.ts";
import type { WeirError } from "../../lib/client/client.ts";
import { formatCount } from "../format.ts";
import { pageClient } from "../page_client.ts";
import { randomId } from "../../lib/shared/random_id.ts";
import { ComparisonPanel } from "./comparison_panel.tsx";
import { Lane } from "./lane.ts";
import { PeerPanel, TransportPanel } from "./lane_panel.tsx";
import { PeerLane } from "./peer_lane.ts";
import { peerChannel } from "./peer_channel.ts";
import { whyNoWebTransport } from "./webtransport_support.ts";

/** What the server passes to the island: plain JSON. */
export interface LabProps {
  readonly channel: string;
  readonly mayRead: boolean;
  readonly mayPublish: boolean;
  /** Whether the two peers may meet. */
  readonly mayConnect: boolean;
  /** Whether this visitor may publish to and read the channels of the comparison. */
  readonly mayCompare: boolean;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
}

/** In the order of the lanes. */
const LANES: readonly TransportName[] = ["webtransport", ...TRANSPORTS];

/** The member that the two peers are, as two sessions. */
const PEER_MEMBER = "lab";

/** Events per second that the page can publish by itself. */
const RATES = [0, 1, 10, 50] as const;
/** Publishes whose time is kept to compute latencies. */
const MAX_REMEMBERED = 1_000;

/** The transport lab: one channel over every transport, side by side. */
export function Lab(props: LabProps): JSX.Element {
  const { channel, mayRead, mayPublish, mayConnect, mayCompare, subject } = props;
  /** Why there is no WebTransport; null until that is known. */
  const [missing, setMissing] = useState<string | null | undefined>(null);
  useEffect(() => void whyNoWebTransport().then(setMissing), []);
  const publisher = useRef(new Publisher(channel));
  const [lanes, setLanes] = useState<readonly Lane[]>([]);
  useEffect(() => {
    if (!mayRead || missing === null) return;
    const transports = missing === undefined ? LANES : TRANSPORTS;
    const opened = transports.map((transport) =>
      new Lane(transport, channel, (id) => publisher.current.publishedAt(id))
    );
    setLanes(opened);
    return () => {
      for (const lane of opened) lane[Symbol.dispose]();
    };
  }, [channel, mayRead, missing]);
  const [peerLane, setPeerLane] = useState<PeerLane>();
  useEffect(() => {
    if (!mayRead || !mayConnect) return;
    const opened = new PeerLane({
      channel: peerChannel(channel, randomId()),
      member: subject ?? PEER_MEMBER,
      publishedAt: (id) => publisher.current.publishedAt(id),
    });
    publisher.current.onPublish = (id) => opened.send(id);
    setPeerLane(opened);
    return () => opened[Symbol.dispose]();
  }, [channel, mayRead, mayConnect]);

  return (
    <div class="lab">
      <section class="lab-head" aria-labelledby="lab-title">
        <h1 id="lab-title">Transport lab</h1>
        <p>
          The channel <code>{channel}</code>{" "}
          over every transport at once, and from peer to peer. Publish, then cut or throttle one of
          them and watch it recover: nothing is lost and nothing arrives twice.
        </p>
        {mayPublish
          ? <PublishBar publisher={publisher.current} />
          : <p class="empty">You don't have permission to publish to this channel.</p>}
      </section>
      {!mayRead && (
        <p class="card problem">
          You don't have permission to read this channel. Open another one with{" "}
          <code>/lab?channel=…</code>
        </p>
      )}
      {mayRead && (
        <>
          <p class="lab-legend">
            <span class="is-bar">connection or request</span>
            <span class="is-dot">event, by its latency</span>
            <span class="is-cut">cut</span>
          </p>
          <div class="lanes">
            {LANES.map((transport) => (
              <TransportPanel
                key={transport}
                transport={transport}
                lane={lanes.find((lane) => lane.transport === transport)}
                missing={transport === "webtransport" ? missing ?? undefined : undefined}
              />
            ))}
            {mayConnect && <PeerPanel lane={peerLane} />}
          </div>
          {mayCompare && <ComparisonPanel channel={channel} missing={missing} />}
        </>
      )}
    </div>
  );
}

function PublishBar({ publisher }: { readonly publisher: Publisher }): JSX.Element {
  const rate = useSignal(0);
  const published = useSignal(0);
  const problem = useSignal<string | undefined>(undefined);
  // The buttons do nothing before the page runs.
  const [isReady, setReady] = useState(false);
  useEffect(() => setReady(true), []);

  async function publish(): Promise<void> {
    try {
      await publisher.publish();
      published.value++;
      problem.value = undefined;
    } catch (cause) {
      problem.value = (cause as WeirError).detail; // all that publish() throws
      rate.value = 0;
    }
  }

  useEffect(() => {
    if (rate.value === 0) return;
    const timer = setInterval(() => void publish(), 1_000 / rate.value);
    return () => clearInterval(timer);
  }, [rate.value]);

  return (
    <div class="lab-publish">
      <button type="button" disabled={!isReady} onClick={() => void publish()}>Publish one</button>
      <fieldset class="segments">
        <legend>Events per second</legend>
        {RATES.map((perSecond) => (
          <label key={perSecond}>
            <input
              type="radio"
              name="rate"
              disabled={!isReady}
              checked={rate.value === perSecond}
              onChange={() => rate.value = perSecond}
            />
            <span>{perSecond === 0 ? "none" : perSecond}</span>
          </label>
        ))}
      </fieldset>
      <span class="lab-published">
        <strong>{formatCount(published.value)}</strong> published
      </span>
      {problem.value !== undefined && (
        <span class="outcome is-error" role="alert">{problem.value}</span>
      )}
    </div>
  );
}

/** Publishes numbered events and keeps when it published each. */
class Publisher {
  /** Called with the id of each event just before it is published. */
  onPublish: (id: string) => void = () => {};
  readonly #channel: string;
  /** `performance.now()` by id, oldest first. */
  readonly #times = new Map<string, number>();
  #count = 0;

  constructor(channel: string) {
    this.#channel = channel;
  }

  publishedAt(id: string): number | undefined {
    return this.#times.get(id);
  }

  async publish(): Promise<void> {
    const id = randomId();
    this.#times.set(id, performance.now());
    if (this.#times.size > MAX_REMEMBERED) {
      const oldest = this.#times.keys().next();
      if (!oldest.done) this.#times.delete(oldest.value);
    }
    this.onPublish(id);
    await pageClient().publish(this.#channel, { number: ++this.#count }, { id, type: "lab" });
  }
}
