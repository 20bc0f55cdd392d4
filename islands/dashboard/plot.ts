import uPlot from "uplot";
import { formatCompact } from "../format.ts";
import { type ChartDefinition, isolatedPoints, valuesOf } from "./charts.ts";
import { shortClockTime } from "./clock.ts";
import { type DashboardView, timeAt } from "./view.ts";

/** Milliseconds without anything to time across which a line goes on. */
const BRIDGED_MS = 10_000;
/** CSS pixels of the vertical axis. */
const AXIS_WIDTH = 54;
/** Of what is filled below a line, in hexadecimal: the tokens of lines are #rrggbb. */
const FILL_ALPHA = "1a";

/** A chart on the page. Times are in seconds since 1970. */
export interface Plot extends Disposable {
  draw(view: DashboardView): void;
  /** Puts the cursor at a time, or away. */
  point(time: number | undefined): void;
}

/**
 * Draws into `element`, in the colours of the page's style, as wide as it is.
 *
 * @param onPoint told where somebody points, and when not any more.
 */
export function makePlot(
  element: HTMLElement,
  definition: ChartDefinition,
  onPoint: (index: number | undefined) => void,
): Plot {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  let view: DashboardView | undefined;
  let isPointed = false;
  const { width, height } = element.getBoundingClientRect();
  const plot = new uPlot(
    {
      width,
      height,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      scales: {
        x: { time: true, range: () => rangeOf(view) },
        y: { range: (_plot, _min, max) => [0, Math.max(definition.minScale, (max ?? 0) * 1.1)] },
      },
      axes: axesOf(definition, colour, style.fontFamily),
      series: [{}, ...definition.lines.map((_, i) => seriesOf(definition, i, colour))],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 7 },
      },
      hooks: {
        drawClear: [(plot) => drawBreaks(plot, view, colour)],
        setCursor: [({ cursor }) => {
          if (isPointed) onPoint(cursor.idx ?? undefined);
        }],
      },
    },
    [[]],
    element,
  );
  const setPointed = (pointed: boolean) => () => {
    isPointed = pointed;
    if (!pointed) onPoint(undefined);
  };
  plot.over.addEventListener("pointerenter", setPointed(true));
  plot.over.addEventListener("pointerleave", setPointed(false));
  const resizing = new ResizeObserver(([entry]) => {
    if (entry !== undefined) plot.setSize(entry.contentRect);
  });
  resizing.observe(element);
  return {
    draw(next) {
      view = next;
      const bridged = BRIDGED_MS / next.grid.step;
      plot.setData([
        next.summaries.map((_, i) => timeAt(next.grid, i)),
        ...definition.lines.map((line) => [...valuesOf(line, next.summaries, bridged)]),
      ]);
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

function rangeOf(view: DashboardView | undefined): [number, number] {
  if (view === undefined) return [0, 1];
  const { start, step, count } = view.grid;
  return [start / 1_000, (start + step * count) / 1_000];
}

type ColorOf = (name: string) => string;

function axesOf(
  { format, isDuration }: ChartDefinition,
  colour: ColorOf,
  fontFamily: string,
): uPlot.Axis[] {
  const axis: uPlot.Axis = {
    stroke: colour("soft"),
    font: `11px ${fontFamily}`,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...axis,
      size: 26,
      space: 72,
      grid: { show: false },
      values: (_plot, splits) => splits.map((time) => shortClockTime(time * 1_000)),
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
  colour: ColorOf,
): uPlot.Series {
  const stroke = colour(`series-${index + 1}`);
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

/** Shades what nobody has figures of, with a line where an isolate started again. */
function drawBreaks(
  { ctx, bbox, valToPos }: uPlot,
  view: DashboardView | undefined,
  colour: ColorOf,
): void {
  if (view === undefined) return;
  const { left, top, width, height } = bbox;
  const at = (time: number) =>
    Math.min(left + width, Math.max(left, valToPos(time / 1_000, "x", true)));
  ctx.save();
  for (const { from, to, reason } of view.breaks) {
    const colourOf = colour(reason === "restart" ? "bad" : "soft");
    ctx.fillStyle = ctx.strokeStyle = colourOf;
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
