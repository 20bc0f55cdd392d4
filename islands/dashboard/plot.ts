import uPlot from "uplot";
import { formatCompact, formatLocalTimeShort } from "../format.ts";
import { type ChartDefinition, isolatedPoints, valuesOf } from "./charts.ts";
import { type DashboardView, timeAt } from "./view.ts";

/** A line continues across steps without a value for up to this time. */
const BRIDGED_MS = 10_000;
/** Width of the vertical axis in CSS pixels. */
const AXIS_WIDTH = 54;
/** Opacity of the area below a line, in hexadecimal. Colors of lines are #rrggbb. */
const FILL_ALPHA = "1a";

/** A drawn chart. Times are in seconds since 1970. */
export interface Plot extends Disposable {
  draw(view: DashboardView): void;
  /** Moves the cursor to a time, or hides it. */
  point(time: number | undefined): void;
}

/**
 * Draws a chart into `element`, as wide as that is, in the colors of the page's style.
 *
 * @param onPoint called with the index that the pointer is at, or undefined when it leaves
 */
export function makePlot(
  element: HTMLElement,
  definition: ChartDefinition,
  onPoint: (index: number | undefined) => void,
): Plot {
  const style = getComputedStyle(element);
  const colorOf: ColorOf = (name) => style.getPropertyValue(`--${name}`).trim();
  let view: DashboardView | undefined;
  let isPointed = false;
  const { width, height } = element.getBoundingClientRect();
  const options: uPlot.Options = {
    width,
    height,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: true, range: () => rangeOf(view) },
      y: { range: (_plot, _min, max) => [0, Math.max(definition.minScale, (max ?? 0) * 1.1)] },
    },
    axes: axesOf(definition, colorOf, style.fontFamily),
    series: [{}, ...definition.lines.map((_, i) => seriesOf(definition, i, colorOf))],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    hooks: {
      drawClear: [(plot) => drawBreaks(plot, view, colorOf)],
      setCursor: [({ cursor }) => {
        if (isPointed) onPoint(cursor.idx ?? undefined);
      }],
    },
  };
  const plot = new uPlot(options, [[]], element);
  watchPointer(plot, (pointed) => {
    isPointed = pointed;
    if (!pointed) onPoint(undefined);
  });
  const resizing = new ResizeObserver(([entry]) => {
    if (entry !== undefined) plot.setSize(entry.contentRect);
  });
  resizing.observe(element);
  return {
    draw(next) {
      view = next;
      plot.setData(dataOf(definition, next));
    },
    point(time) {
      if (isPointed) return;
      const left = time === undefined ? -10 : plot.valToPos(time, "x");
      plot.setCursor({ left, top: time === undefined ? -10 : 0 }, false);
    },
    [Symbol.dispose]() {
      resizing.disconnect();
      plot.destroy();
    },
  };
}

function watchPointer(plot: uPlot, onChange: (isPointed: boolean) => void): void {
  plot.over.addEventListener("pointerenter", () => onChange(true));
  plot.over.addEventListener("pointerleave", () => onChange(false));
}

function dataOf(
  { lines }: ChartDefinition,
  { grid, summaries }: DashboardView,
): uPlot.AlignedData {
  const bridged = BRIDGED_MS / grid.step;
  return [
    summaries.map((_, i) => timeAt(grid, i)),
    ...lines.map((line) => [...valuesOf(line, summaries, bridged)]),
  ];
}

function rangeOf(view: DashboardView | undefined): [number, number] {
  if (view === undefined) return [0, 1];
  const { start, step, count } = view.grid;
  return [start / 1_000, (start + step * count) / 1_000];
}

type ColorOf = (name: string) => string;

function axesOf(
  { format, isDuration }: ChartDefinition,
  color: ColorOf,
  fontFamily: string,
): uPlot.Axis[] {
  const axis: uPlot.Axis = {
    stroke: color("soft"),
    font: `11px ${fontFamily}`,
    grid: { stroke: color("line"), width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...axis,
      size: 26,
      space: 72,
      grid: { show: false },
      values: (_plot, splits) => splits.map((time) => formatLocalTimeShort(time * 1_000)),
    },
    {
      ...axis,
      size: AXIS_WIDTH,
      space: 32,
      values: (_plot, splits) =>
        splits.map((value) =>
          value === 0 ? "0" : isDuration ? format(value) : formatCompact(value)
        ),
    },
  ];
}

function seriesOf(
  { isFilled }: ChartDefinition,
  index: number,
  color: ColorOf,
): uPlot.Series {
  const stroke = color(`series-${index + 1}`);
  return {
    stroke,
    ...isFilled && { fill: `${stroke}${FILL_ALPHA}` },
    width: 1.5,
    points: {
      size: 4,
      fill: stroke,
      show: true,
      filter: (plot, series) => [...isolatedPoints([...plot.data[series] ?? []])],
    },
  };
}

/** Shades the times without figures and draws a line where an isolate restarted. */
function drawBreaks(
  { ctx, bbox, valToPos }: uPlot,
  view: DashboardView | undefined,
  color: ColorOf,
): void {
  if (view === undefined) return;
  const { left, top, width, height } = bbox;
  const at = (time: number) =>
    Math.min(left + width, Math.max(left, valToPos(time / 1_000, "x", true)));
  ctx.save();
  for (const { from, to, reason } of view.breaks) {
    const breakColor = color(reason === "restart" ? "bad" : "soft");
    ctx.fillStyle = ctx.strokeStyle = breakColor;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(at(from), top, Math.max(1, at(to) - at(from)), height);
    ctx.globalAlpha = 0.9;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(at(to), top);
    ctx.lineTo(at(to), top + height);
    if (reason === "restart") ctx.stroke();
  }
  ctx.restore();
}
