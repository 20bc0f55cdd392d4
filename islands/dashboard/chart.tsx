import type { ReadonlySignal, Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatLocalTime } from "../format.ts";
import { type ChartDefinition, spanMs } from "./charts.ts";
import { makePlot, type Plot } from "./plot.ts";
import type { Samples } from "./samples.ts";
import { gridUpTo, summarizeGrid, type Summary } from "./summary.ts";
import { type DashboardView, indexAt, timeAt } from "./view.ts";

/** Rows of a chart's table. */
const TABLE_ROWS = 30;

interface ChartProps {
  readonly definition: ChartDefinition;
  readonly view: ReadonlySignal<DashboardView | undefined>;
  readonly samples: Samples | undefined;
  /** The time at the cursor in seconds since 1970, shared by all charts. */
  readonly cursor: Signal<number | undefined>;
}

/** One chart with its values at the cursor or now. It can also be shown as a table. */
export function Chart(props: ChartProps): JSX.Element {
  const { definition, cursor } = props;
  const at = cursor.value;
  const [isTable, setTable] = useState(false);
  return (
    <section class="card chart" aria-labelledby={`chart-${definition.id}`}>
      <header>
        <h2 id={`chart-${definition.id}`}>{definition.title}</h2>
        {at === undefined
          ? <small class="ellipsis">{definition.about}</small>
          : <time class="soft">{formatLocalTime(at * 1_000)}</time>}
        <button
          type="button"
          class="quiet"
          aria-pressed={isTable}
          aria-label={`${definition.title} as a table`}
          onClick={() => setTable(!isTable)}
        >
          Table
        </button>
      </header>
      {isTable ? <Table {...props} /> : (
        <>
          <Legend {...props} />
          <Drawing {...props} />
        </>
      )}
    </section>
  );
}

/** Shows the values at the cursor, or the current ones. */
function Legend({ definition, view, cursor }: ChartProps): JSX.Element {
  const summary = summaryAt(view.value, cursor.value);
  return (
    <dl class="legend">
      {definition.lines.map((line, i) => (
        <div key={line.label}>
          <dt data-series={i + 1}>{line.label}</dt>
          <dd>{valueText(definition, summary, i)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Draws the chart. Arrow keys move the cursor of all charts. Screen readers read its values. */
function Drawing({ definition, view, cursor }: ChartProps): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const plot = usePlot(element, definition, view, cursor);
  const shown = view.value;
  const at = cursor.value;
  useEffect(() => {
    if (shown !== undefined) plot?.draw(shown);
  }, [plot, shown]);
  useEffect(() => plot?.point(at), [plot, shown, at]);
  const last = (shown?.grid.count ?? 1) - 1;
  const index = shown === undefined || at === undefined ? last : indexAt(shown.grid, at);
  return (
    <div
      class="plot"
      ref={element}
      role="slider"
      tabIndex={0}
      aria-label={`${definition.title}, ${definition.about}: time`}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={index}
      aria-valuetext={spokenValues(definition, shown, index)}
      onKeyDown={(event) => {
        const next = nextIndex(event.key, index, last);
        if (shown === undefined || next === undefined) return;
        event.preventDefault();
        cursor.value = next === "none" ? undefined : timeAt(shown.grid, next);
      }}
      onBlur={() => cursor.value = undefined}
    />
  );
}

/** Makes the plot in `element`, and makes it again when the color scheme changes. */
function usePlot(
  element: { readonly current: HTMLDivElement | null },
  definition: ChartDefinition,
  view: ReadonlySignal<DashboardView | undefined>,
  cursor: Signal<number | undefined>,
): Plot | undefined {
  const [plot, setPlot] = useState<Plot>();
  useEffect(() => {
    if (element.current === null) return;
    const host = element.current;
    const onPoint = (index: number | undefined) => {
      const shown = view.peek();
      cursor.value = index === undefined || shown === undefined
        ? undefined
        : timeAt(shown.grid, index);
    };
    let made = makePlot(host, definition, onPoint);
    setPlot(made);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const remake = () => {
      made[Symbol.dispose]();
      made = makePlot(host, definition, onPoint);
      setPlot(made);
    };
    dark.addEventListener("change", remake);
    return () => {
      dark.removeEventListener("change", remake);
      made[Symbol.dispose]();
    };
  }, [definition]);
  return plot;
}

/** Shows the span in `TABLE_ROWS` rows, newest first. */
function Table({ definition, view, samples }: ChartProps): JSX.Element {
  const shown = view.value;
  if (shown === undefined || samples === undefined) return <p class="empty">No figures yet.</p>;
  const grid = gridUpTo(samples.complete, spanMs(shown.span) / TABLE_ROWS, TABLE_ROWS);
  const rows = summarizeGrid(samples.all(), grid)
    .map((summary, i) => ({ summary, end: grid.start + (i + 1) * grid.step }))
    .reverse();
  return (
    <div class="scroll" role="region" aria-label={`${definition.title}, table`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{grid.step / 1_000} s until</th>
            {definition.lines.map(({ label }) => <th scope="col" key={label}>{label}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ summary, end }) => (
            <tr key={end}>
              <th scope="row">{formatLocalTime(end)}</th>
              {definition.lines.map(({ label }, i) => (
                <td key={label}>{valueText(definition, summary, i)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function summaryAt(view: DashboardView | undefined, time: number | undefined): Summary | undefined {
  if (view === undefined) return undefined;
  return time === undefined ? view.now : view.summaries[indexAt(view.grid, time)];
}

function valueText(
  { lines, format }: ChartDefinition,
  summary: Summary | undefined,
  line: number,
): string {
  const value = summary === undefined ? undefined : lines[line]?.read(summary);
  return value === undefined ? "–" : format(value);
}

function spokenValues(
  definition: ChartDefinition,
  view: DashboardView | undefined,
  index: number,
): string {
  if (view === undefined) return "No figures yet";
  const summary = view.summaries[index];
  const time = formatLocalTime(timeAt(view.grid, index) * 1_000);
  if (summary === undefined) return `${time}: no figures`;
  const values = definition.lines.map(({ label }, i) =>
    `${label} ${valueText(definition, summary, i)}`
  );
  return `${time}: ${values.join(", ")}`;
}

/** Steps that Page Up and Page Down move. */
const PAGE_STEPS = 10;

/** Returns where a key moves the cursor, or undefined for other keys. */
function nextIndex(key: string, index: number, last: number): number | "none" | undefined {
  const within = (next: number) => Math.min(last, Math.max(0, next));
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return within(index - 1);
    case "ArrowRight":
    case "ArrowUp":
      return within(index + 1);
    case "PageDown":
      return within(index - PAGE_STEPS);
    case "PageUp":
      return within(index + PAGE_STEPS);
    case "Home":
      return 0;
    case "End":
      return last;
    case "Escape":
      return "none";
  }
  return undefined;
}
