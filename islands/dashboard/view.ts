import { spanMs, type TimeSpan } from "./charts.ts";
import type { Samples } from "./samples.ts";
import {
  type FiguresBreak,
  findBreaks,
  gridUpTo,
  summarize,
  summarizeGrid,
  type Summary,
  type TimeGrid,
} from "./summary.ts";

/** "Now" is the mean of this period, because a single second would flicker. */
const NOW_MS = 5_000;

/** The current state of an isolate. */
export interface IsolateView {
  readonly isolate: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Undefined if the isolate has stopped. */
  readonly now: Summary | undefined;
}

/** Everything that the page shows for one span. */
export interface DashboardView {
  readonly span: TimeSpan;
  readonly grid: TimeGrid;
  /** One for each step of the grid. */
  readonly summaries: readonly (Summary | undefined)[];
  readonly breaks: readonly FiguresBreak[];
  readonly now: Summary | undefined;
  readonly isolates: readonly IsolateView[];
}

/** Returns undefined while there are no figures. */
export function viewOf(samples: Samples, span: TimeSpan): DashboardView | undefined {
  const end = samples.complete;
  if (end === -Infinity) return undefined;
  const all = samples.all();
  const grid = gridUpTo(end, span.step, spanMs(span) / span.step);
  return {
    span,
    grid,
    summaries: summarizeGrid(all, grid),
    breaks: findBreaks(all, grid.start, end),
    now: summarize(all, end - NOW_MS, end) ?? summarize(all, end - 1_000, end),
    isolates: all.map((one) => ({
      isolate: one.isolate,
      started: one.started,
      now: samples.isAlive(one)
        ? summarize([one], end - NOW_MS, end) ?? summarize([one], end - 1_000, end)
        : undefined,
    })),
  };
}

/** Returns the middle of a step, where its point is drawn, in seconds since 1970. */
export function timeAt({ start, step }: TimeGrid, index: number): number {
  return (start + (index + 0.5) * step) / 1_000;
}

/** Returns the step that contains a time (seconds since 1970), or the nearest one. */
export function indexAt({ start, step, count }: TimeGrid, time: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor((time * 1_000 - start) / step)));
}
