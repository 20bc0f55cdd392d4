import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatDuration } from "../format.ts";
import type { LaneRecord } from "./lane_record.ts";
import { LaneTimeline, MAX_LATENCY_MS, MIN_LATENCY_MS } from "./timeline.tsx";

/** How often the figures are updated, slow enough to be read. */
const TICK_MS = 250;
export const NONE = "–";

/** Renders the component again and again, for figures that change all the time. */
export function useTicks(): void {
  const [, draw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => draw((tick) => tick + 1), TICK_MS);
    return () => clearInterval(timer);
  }, []);
}

export function duration(ms: number | undefined): string {
  return ms === undefined ? NONE : formatDuration(ms);
}

interface TimelineFrameProps {
  /** Undefined until the page runs. */
  readonly record: LaneRecord | undefined;
  /** Describes the drawing for screen readers. */
  readonly label: string;
  /** @see {@link LaneTimeline} */
  readonly until?: number | undefined;
}

/** A timeline with its scales. */
export function TimelineFrame({ record, label, until }: TimelineFrameProps): JSX.Element {
  return (
    <>
      <div class="timeline-frame">
        {record !== undefined && <LaneTimeline record={record} label={label} until={until} />}
        {/* The drawing's label says the same. */}
        <span aria-hidden="true">{formatDuration(MAX_LATENCY_MS)}</span>
        <span aria-hidden="true">{formatDuration(MIN_LATENCY_MS)}</span>
      </div>
      <p class="timeline-axis" aria-hidden="true">
        <span>{until === undefined ? "20 s ago" : "20 s before the end"}</span>
        <span>{until === undefined ? "now" : "end"}</span>
      </p>
    </>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly id?: string;
}

/** A figure of a lane. */
export function Figure({ name, value, id }: FigureProps): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd {...id !== undefined && { "data-figure": id }}>{value}</dd>
    </div>
  );
}
