import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ChannelStream } from "./channel_stream.ts";
import {
  type Connection,
  type Feed,
  type Item,
  startFeed,
  withConnection,
  withEnd,
  withEvent,
  withExpiry,
  withGap,
  withGoodbye,
} from "./feed.ts";
import { PublishForm } from "./publish_form.tsx";

/** What the server gives the island: plain JSON. */
export interface LiveProps {
  readonly channel: string;
  /** Types to listen to, beside `message` and those in `items`. */
  readonly types: readonly string[];
  /** What the channel has already, newest first. */
  readonly items: readonly Item[];
  /** Behind `items`: where the stream goes on. */
  readonly cursor: string;
  /** Whether the visitor has the right to. */
  readonly mayPublish: boolean;
}

/** The element that holds the island, and its props as JSON in `data-props`. */
export const LIVE_ID = "live";

const CONNECTIONS: Readonly<Record<Connection, string>> = {
  connecting: "Connecting",
  open: "Open",
  reconnecting: "Reconnecting",
  ended: "Ended",
};

/** One channel live: its connection, cursor and newest events, and a form to publish. */
export function Live(props: LiveProps): JSX.Element {
  const [feed, listen] = useFeed(props);
  return (
    <>
      {feed.ended !== undefined && (
        <p class="card problem ended" role="alert">
          {feed.ended}
          <button type="button" onClick={() => location.reload()}>Sign in again</button>
        </p>
      )}
      <dl class="card figures">
        <div>
          <dt>Connection</dt>
          <dd>
            <span role="status" class="connection" data-state={feed.connection}>
              {CONNECTIONS[feed.connection]}
            </span>
          </dd>
        </div>
        <div>
          <dt>Received</dt>
          <dd>{feed.received.toLocaleString("en")}</dd>
        </div>
        <div class="wide">
          <dt>Cursor</dt>
          <dd>
            <code>{feed.cursor}</code>
          </dd>
        </div>
      </dl>
      <section class="card events" aria-labelledby="events-title">
        <h2 id="events-title">
          Events <small>newest first, times in UTC</small>
        </h2>
        {feed.items.length === 0 && (
          <p class="empty">Nothing here yet. What is published shows at once.</p>
        )}
        {/* Without a tab stop the keyboard could not scroll the list. */}
        <div class="scroll" role="log" aria-labelledby="events-title" tabIndex={0}>
          <ol>{feed.items.map((item) => <Line key={keyOf(item)} item={item} />)}</ol>
        </div>
      </section>
      {props.mayPublish
        ? <PublishForm channel={props.channel} onPublish={listen} />
        : <p class="card empty">There is no right to publish here.</p>}
    </>
  );
}

function Line({ item }: { readonly item: Item }): JSX.Element {
  if (item.kind !== "event") {
    return <li class="notice" data-kind={item.kind}>{item.text}</li>;
  }
  return (
    <li class="event" data-offset={item.offset}>
      <time dateTime={item.time}>{item.time.slice(11, 23)}</time>
      <span class="type">{item.type}</span>
      <code class="data">{item.text}</code>
    </li>
  );
}

function keyOf(item: Item): string {
  return item.kind === "event" ? item.offset : item.id;
}

/** The feed, and a way to hear one more type. */
function useFeed(props: LiveProps): [Feed, (type: string) => void] {
  const { channel, types, items, cursor } = props;
  const [shown, show] = useState(() => startFeed(cursor, items));
  const stream = useRef<ChannelStream>(undefined);
  useEffect(() => {
    let feed = shown;
    let frame: number | undefined;
    // However many events come, the page is drawn once a frame.
    const update = (next: Feed) => {
      feed = next;
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        show(feed);
      });
    };
    const seen = items.flatMap((item) => item.kind === "event" ? [item.type] : []);
    const opened = new ChannelStream(channel, cursor, [...types, ...seen], {
      connection: (state) => update(withConnection(feed, state)),
      event: (event, at) => update(withEvent(feed, event, at)),
      gap: (gap, at) => update(withGap(feed, gap, at)),
      goodbye: (reason) => update(withGoodbye(feed, reason)),
      expiring: (expiresIn) => update(withExpiry(feed, expiresIn)),
      ended: (why) => update(withEnd(feed, why)),
    });
    stream.current = opened;
    return () => {
      opened[Symbol.dispose]();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, []);
  return [shown, (type) => stream.current?.listen(type)];
}
