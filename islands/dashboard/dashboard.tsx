import { type ReadonlySignal, type Signal, useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Connection } from "../../lib/client/connection/connection.ts";
import { openEventStream } from "../../lib/client/transports/event_stream.ts";
import { callOverHttp } from "../../lib/client/transports/http_calls.ts";
import type { Link } from "../../lib/client/core/link.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import type { ConnectionModules } from "../../lib/client/connection/modules.ts";
import { ConnectionState } from "../connection_state.tsx";
import { formatCount, formatDuration, formatLocalTime, formatRate } from "../format.ts";
import { useObservable } from "../use_observable.ts";
import { signedOutReason } from "../sign_in_notice.tsx";
import { Chart } from "./chart.tsx";
import { CHARTS, firstSpan, LONGER_SPAN, spanMs, SPANS, type TimeSpan } from "./charts.ts";
import { FiguresFeed } from "./figures_feed.ts";
import { Isolates } from "./isolates.tsx";
import { connectionsOf, type FiguresBreak } from "./summary.ts";
import { type DashboardView, viewOf } from "./view.ts";

/** What the server passes to the island: plain JSON. */
export type DashboardProps = Readonly<Record<never, never>>;

/** Breaks that are listed; the charts mark all of them. */
const MAX_LISTED_BREAKS = 3;

export function Dashboard(_props: DashboardProps): JSX.Element {
  const chosen = useSignal<TimeSpan>();
  const historyMs = useSignal(0);
  const span = useComputed(() => chosen.value ?? firstSpan(historyMs.value));
  const cursor = useSignal<number>();
  const feed = useSignal<FiguresFeed>();
  const view = useSignal<DashboardView>();
  useFigures({ feed, span, view, historyMs });
  return (
    <div class="dashboard">
      <header class="row">
        <h1>Dashboard</h1>
        <ConnectionState weir={feed.value} />
        <Spans span={span} chosen={chosen} feed={feed} />
      </header>
      <Problem feed={feed.value} view={view} />
      <Headline feed={feed.value} view={view} />
      <Breaks view={view} />
      <div class="charts">
        {CHARTS.map((definition) => (
          <Chart
            key={definition.id}
            definition={definition}
            view={view}
            samples={feed.value?.samples}
            cursor={cursor}
          />
        ))}
      </div>
      <Isolates view={view} />
    </div>
  );
}

interface ShownFigures {
  readonly feed: Signal<FiguresFeed | undefined>;
  readonly span: ReadonlySignal<TimeSpan>;
  readonly view: Signal<DashboardView | undefined>;
  /** For how long there were figures when the page was opened. */
  readonly historyMs: Signal<number>;
}

/** Follows the figures over server-sent events and updates the view at most once a frame. */
function useFigures({ feed, span, view, historyMs }: ShownFigures): void {
  useEffect(() => {
    const own = new FiguresFeed(connectByStream());
    feed.value = own;
    void own.start(spanMs(LONGER_SPAN)).then(() => historyMs.value = own.samples.durationMs);
    let frame = 0;
    const draw = () => {
      frame = 0;
      view.value = viewOf(own.samples, span.peek());
    };
    const drawSoon = () => {
      frame ||= requestAnimationFrame(draw);
    };
    const endings = [own.version.subscribe(drawSoon), span.subscribe(drawSoon)];
    return () => {
      for (const end of endings) end();
      cancelAnimationFrame(frame);
      own[Symbol.dispose]();
    };
  }, []);
}

const MODULES: ConnectionModules = { transports: { sse: openEventStream }, call: callOverHttp };

/**
 * Opens only the client's connection. The page needs no publishing, tabs or presence, and leaving
 * them out keeps its script small.
 */
function connectByStream(): Link {
  const base = new URL("/", location.origin);
  return new Connection(base, MODULES, { platform: PLATFORM });
}

interface SpansProps {
  readonly span: ReadonlySignal<TimeSpan>;
  readonly chosen: Signal<TimeSpan | undefined>;
  readonly feed: ReadonlySignal<FiguresFeed | undefined>;
}

function Spans({ span, chosen, feed }: SpansProps): JSX.Element {
  return (
    <fieldset class="segments">
      <legend class="hidden-visually">Shown time</legend>
      {SPANS.map((one) => (
        <label key={one.minutes}>
          <input
            type="radio"
            name="span"
            checked={one.minutes === span.value.minutes}
            onChange={() => {
              chosen.value = one;
              void feed.peek()?.loadBack(spanMs(one));
            }}
          />
          <span>{one.minutes} min</span>
        </label>
      ))}
    </fieldset>
  );
}

interface ViewProps {
  readonly view: ReadonlySignal<DashboardView | undefined>;
}

/** Says why the page has no figures. */
function Problem({ feed, view }: FeedProps): JSX.Element | null {
  const signedOut = signedOutReason(useObservable(feed?.state));
  const error = signedOut ?? feed?.error.value?.detail;
  if (error !== undefined) {
    return (
      <p class="card problem row" role="alert">
        {error}
        {signedOut !== undefined && (
          <button type="button" onClick={() => location.reload()}>Sign in again</button>
        )}
      </p>
    );
  }
  if (view.value !== undefined) return null;
  // A visible text would make the page jump when the figures arrive.
  return <p class="hidden-visually" role="status">Waiting for the first figures…</p>;
}

interface FeedProps extends ViewProps {
  readonly feed: FiguresFeed | undefined;
}

const FIGURES: readonly {
  readonly label: string;
  readonly unit?: string;
  readonly read: (now: NonNullable<DashboardView["now"]>) => string | undefined;
}[] = [
  { label: "Connections", read: (now) => formatCount(connectionsOf(now)) },
  { label: "Publishes", unit: "/s", read: ({ accepted }) => formatRate(accepted) },
  {
    label: "Deliveries",
    unit: "/s",
    read: ({ delivered, caughtUp }) => formatRate(delivered + caughtUp),
  },
  { label: "Publish p99", read: ({ publish }) => publish && formatDuration(publish.p99) },
  { label: "Delivery p99", read: ({ delivery }) => delivery && formatDuration(delivery.p99) },
  { label: "Replay lag", unit: " events", read: ({ lag }) => formatCount(lag) },
];

/** Shows the current values as large figures, paler while there is no connection. */
function Headline({ feed, view }: FeedProps): JSX.Element {
  const now = view.value?.now;
  const state = useObservable(feed?.state);
  const isStale = now !== undefined && state?.status !== "open";
  return (
    <dl class="card headline" data-stale={isStale || undefined}>
      {FIGURES.map(({ label, unit, read }) => {
        const value = now === undefined ? undefined : read(now);
        return (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              {value ?? "–"}
              {value !== undefined && unit !== undefined && <small>{unit}</small>}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

/** Explains breaks in the charts. */
function Breaks({ view }: ViewProps): JSX.Element {
  const breaks = view.value?.breaks.slice(-MAX_LISTED_BREAKS).reverse() ?? [];
  return (
    <ul class="list breaks" aria-label="Breaks in the figures">
      {breaks.map((one) => <li key={one.from} data-reason={one.reason}>{describeBreak(one)}</li>)}
    </ul>
  );
}

function describeBreak({ from, to, reason }: FiguresBreak): string {
  const when = `${formatLocalTime(from)} – ${formatLocalTime(to)}`;
  return reason === "restart"
    ? `${when}: the server was down and restarted.`
    : `${when}: nothing was recorded because no dashboard was open.`;
}
