import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Peer, PeerStats } from "../../lib/client/rtc/api.ts";
import { formatDuration } from "../format.ts";
import { bitsPerSecond, formatBitRate, formatLoss, ROUTE_NAMES } from "./quality_text.ts";

/** How often the figures are updated, slow enough to be read. */
const TICK_MS = 1_000;
const NONE = "–";

interface Sample {
  readonly at: number;
  readonly stats: PeerStats;
  /** Of the picture, in pixels; undefined without one. */
  readonly size: string | undefined;
}

/** Shows figures about the connection to a peer. Measures only while it is shown. */
export function Quality({ peer }: { readonly peer: Pick<Peer, "stats"> }): JSX.Element {
  const list = useRef<HTMLDListElement>(null);
  const [[before, sample], setSamples] = useState<readonly (Sample | undefined)[]>([]);
  useEffect(() => {
    let isShown = true;
    async function measure(): Promise<void> {
      const stats = await peer.stats();
      const video = list.current?.closest(".call-tile")?.querySelector("video");
      const size = video?.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : undefined;
      const next = { at: performance.now(), stats, size };
      if (isShown) setSamples(([, last]) => [last, next]);
    }
    void measure();
    const timer = setInterval(() => void measure(), TICK_MS);
    return () => {
      isShown = false;
      clearInterval(timer);
    };
  }, [peer]);
  const stats = sample?.stats;
  const rate = (bytes: (stats: PeerStats) => number) =>
    before === undefined || sample === undefined ? NONE : formatBitRate(
      bitsPerSecond(bytes(sample.stats) - bytes(before.stats), sample.at - before.at),
    );
  return (
    <dl ref={list} class="call-quality">
      <Figure
        name="Round trip"
        value={stats?.roundTrip === undefined ? NONE : formatDuration(stats.roundTrip)}
      />
      <Figure
        name="Loss"
        value={stats?.lossRate === undefined ? NONE : formatLoss(stats.lossRate)}
      />
      <Figure name="Route" value={stats?.route === undefined ? NONE : ROUTE_NAMES[stats.route]} />
      <Figure name="Picture" value={sample?.size ?? NONE} />
      <Figure name="In" value={rate(({ bytesReceived }) => bytesReceived)} />
      <Figure name="Out" value={rate(({ bytesSent }) => bytesSent)} />
    </dl>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
}

function Figure({ name, value }: FigureProps): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
