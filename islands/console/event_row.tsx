import type { JSX } from "preact";
import type { Gap } from "../../lib/client/api.ts";
import { formatClock, formatCount, formatName } from "../format.ts";
import { previewOf } from "./event_text.ts";
import { parsePosition, type TimelineRow } from "./timeline.ts";

/** Renders the content of one row. */
export function EventRow({ row }: { readonly row: TimelineRow }): JSX.Element {
  switch (row.kind) {
    case "event":
    case "ephemeral": {
      const { event } = row;
      return (
        <>
          <span class="sequence">{row.kind === "event" ? sequenceOf(row.key) : "ephemeral"}</span>
          <time dateTime={event.time}>{formatClock(event.time)}</time>
          <span class="type">{formatName(event.type)}</span>
          <code class="data">{previewOf(event) || <span class="soft">empty</span>}</code>
        </>
      );
    }
    case "gap":
      return (
        <>
          <strong class="sign">Gap</strong>
          <time dateTime={row.time}>{formatClock(row.time)}</time>
          <span class="words">{describeGap(row.gap)}</span>
        </>
      );
    case "connection":
      return (
        <>
          <strong class="sign">Connection</strong>
          <time dateTime={row.time}>{formatClock(row.time)}</time>
          <span class="words">{row.text}</span>
        </>
      );
    case "gone":
      return (
        <>
          <span class="sequence">{sequenceOf(row.key)}</span>
          <span class="words">Expired or removed by retention.</span>
        </>
      );
    case "unloaded":
      return (
        <>
          <span class="sequence">{sequenceOf(row.key)}</span>
          <span class="words">…</span>
        </>
      );
  }
}

function sequenceOf(offset: string): string {
  return formatCount(parsePosition(offset)?.sequence ?? 0);
}

export function describeGap({ reason, lost }: Gap): string {
  switch (reason) {
    case "expired":
      return lost === null
        ? "Events expired or were removed by retention."
        : `${formatCount(lost)} ${lost === 1 ? "event is" : "events are"} gone: past ${
          lost === 1 ? "its" : "their"
        } time, or removed by retention.`;
    case "recreated":
      return "The channel was deleted and created again.";
    case "restored":
      return "The store was restored from a backup. No event is missing here.";
    case "ahead":
      return "The cursor is ahead of the log. It comes from a log that no longer exists.";
  }
}
