import type { Context } from "hono";
import type { JSX } from "preact";
import { renderToString } from "preact-render-to-string";
import { z } from "zod";
import { eventItem, gapItem } from "../islands/feed.ts";
import { Live, LIVE_ID, type LiveProps } from "../islands/live.tsx";
import { readAsset } from "../lib/assets.ts";
import { addressOf, DEFAULT_TENANT, parseChannel } from "../lib/shared/channel.ts";
import { type Gap, parseEventType, type WireEvent } from "../lib/shared/event.ts";
import type { Position } from "../lib/shared/offset.ts";
import { Problem } from "../lib/shared/problem.ts";
import { readPage } from "../lib/transports/page.ts";
import type { Weir } from "../lib/weir.ts";
import { statusOf } from "./problem.ts";
import { parseQuery } from "./query.ts";

const DEFAULT_CHANNEL = "demo";
/** Events that the page has from the start. */
const HISTORY = 50;
/** Met: a page with a listener for each of a million types. */
const MAX_TYPES = 50;

const query = z.object({ channel: z.string().optional(), types: z.string().optional() });

/** Nothing but our own files, and nobody may frame a page that publishes. */
const HEADERS = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "Content-Type": "text/html; charset=utf-8",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** `GET /`: one channel live, rendered here with what it has and gone on with by the island. */
export async function getPage(c: Context, weir: Weir): Promise<Response> {
  const params = new URL(c.req.raw.url).searchParams;
  const form = {
    channel: params.get("channel")?.trim() || DEFAULT_CHANNEL,
    types: params.get("types")?.trim() ?? "",
  };
  const isBuilt = await readAsset("live.js") !== undefined;
  try {
    parseQuery(params, query);
    const live = await readLive(weir, form.channel, parseTypes(form.types));
    return html(200, <Page form={form} isBuilt={isBuilt} live={live} />);
  } catch (cause) {
    if (!(cause instanceof Problem) || statusOf(cause.code) >= 500) throw cause;
    const { code, detail } = cause;
    return html(statusOf(code), <Page form={form} isBuilt={isBuilt} error={detail} />);
  }
}

/** The channel's newest events, and the cursor behind them from which the stream goes on. */
async function readLive(
  { log, hub }: Weir,
  name: string,
  types: readonly string[],
): Promise<LiveProps> {
  const channel = parseChannel(name);
  const address = addressOf(DEFAULT_TENANT, channel);
  const head = await log.head(address);
  const after: "earliest" | readonly Position[] = head === undefined
    ? "earliest"
    : [{ epoch: head.epoch, sequence: Math.max(head.first - 1, head.last - HISTORY) }];
  const page = await readPage(hub, after, { addresses: [address], limit: HISTORY });
  const { events, gap }: { readonly events: readonly WireEvent[]; readonly gap?: Gap } = JSON
    .parse(page.body);
  const items = [...gap === undefined ? [] : [gapItem(gap)], ...events.map(eventItem)];
  return { channel, types, items: items.reverse(), cursor: page.cursor };
}

/** Types split by commas. @throws {Problem} `bad_event_type`, `bad_parameter` */
function parseTypes(text: string): readonly string[] {
  const types = text.split(",").map((type) => type.trim()).filter((type) => type !== "");
  if (types.length > MAX_TYPES) {
    throw new Problem("bad_parameter", `Cannot listen to ${types.length} types: ${MAX_TYPES} do.`);
  }
  return types.map(parseEventType);
}

interface PageProps {
  readonly form: { readonly channel: string; readonly types: string };
  readonly isBuilt: boolean;
  readonly live?: LiveProps;
  readonly error?: string;
}

function Page({ form, isBuilt, live, error }: PageProps): JSX.Element {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${form.channel} · Weir`}</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/style.css" />
        {isBuilt && <script type="module" src="/assets/live.js"></script>}
      </head>
      <body>
        <header>
          <h1>
            <img src="/assets/icon.svg" alt="" width="28" height="28" /> Weir
          </h1>
          <p>Every event in a durable log, live to whoever listens.</p>
        </header>
        <main>
          <form class="card subscribe" method="get" action="/">
            <label class="field">
              <span>Channel</span>
              <input
                name="channel"
                value={form.channel}
                autocomplete="off"
                spellcheck={false}
                required
              />
            </label>
            <label class="field">
              <span>
                Types <small>beside message, split by commas</small>
              </span>
              <input name="types" value={form.types} autocomplete="off" spellcheck={false} />
            </label>
            <button type="submit" class="quiet">Show</button>
          </form>
          {error !== undefined && <p class="card problem" role="alert">{error}</p>}
          {!isBuilt && (
            <p class="card problem">
              The page is not live, because its script is not built: run{" "}
              <code>deno task build</code>.
            </p>
          )}
          <noscript>
            <p class="card problem">Without JavaScript the page shows events, but not live.</p>
          </noscript>
          {live !== undefined && (
            <div id={LIVE_ID} class="live" data-props={JSON.stringify(live)}>
              <Live {...live} />
            </div>
          )}
        </main>
      </body>
    </html>
  );
}

function html(status: number, page: JSX.Element): Response {
  return new Response(`<!doctype html>\n${renderToString(page)}`, { status, headers: HEADERS });
}
