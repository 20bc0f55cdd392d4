import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { EphemeralEvent, WeirEvent } from "../../lib/client/api.ts";
import { formatBytes } from "../format.ts";
import { CopyButton } from "../copy_button.tsx";
import { describeGap } from "./event_row.tsx";
import { dumpOf, hexOf, jsonOf, MAX_DUMP_BYTES, TOO_DEEP } from "./event_text.ts";
import { linkTo } from "./console_model.ts";
import { Snippets } from "./snippet_list.tsx";
import { clientPublish, clientRead, curlPublish, curlRead } from "./snippets.ts";
import type { TimelineRow } from "./timeline.ts";

/** Characters of data that are shown. Guards against laying out a megabyte of text. */
const MAX_TEXT_CHARS = 50_000;

interface InspectorProps {
  readonly row: TimelineRow | undefined;
  readonly isGuarded: boolean;
}

/** Shows the details of one row. */
export function Inspector({ row, isGuarded }: InspectorProps): JSX.Element {
  switch (row?.kind) {
    case "event":
      return <EventDetails key={row.key} event={row.event} isGuarded={isGuarded} />;
    case "ephemeral":
      return <EphemeralDetails key={row.key} event={row.event} />;
    case "gap": {
      const { requested, firstAvailable, reason, lost } = row.gap;
      return (
        <div class="details">
          <p>{describeGap(row.gap)}</p>
          <Fields
            fields={[
              ["Reason", reason],
              ["Lost", lost === null ? "unknown" : String(lost)],
              ["Requested after", requested],
              ["Continues at", firstAvailable],
            ]}
          />
        </div>
      );
    }
    case "connection":
      return <p class="details">{row.text}</p>;
    case "gone":
      return (
        <p class="details">
          This event expired or was removed by retention.
        </p>
      );
    case "unloaded":
      return <p class="details">This event is not loaded yet, or is no longer stored.</p>;
    default:
      return <p class="empty hint">Select an event to see its details.</p>;
  }
}

interface EventDetailsProps {
  readonly event: WeirEvent;
  readonly isGuarded: boolean;
}

function EventDetails({ event, isGuarded }: EventDetailsProps): JSX.Element {
  const { channel, offset, id, type, time, contentType, key, publisher, expiresAt } = event;
  const link = new URL(linkTo(channel, offset), location.origin).href;
  return (
    <div class="details">
      <div class="row">
        <h3>Event</h3>
        <span class="end">
          <CopyButton text={link} what="to this event" label="Copy link" />
        </span>
      </div>
      <Fields
        fields={[
          ["Offset", offset],
          ["Id", id === offset ? undefined : id],
          ["Type", type],
          ["Time", time],
          ["Content type", contentType],
          ["Key", key],
          ["Publisher", publisher],
          ["Expires", expiresAt],
        ]}
      />
      <Data data={event.data} />
      <Snippets
        isGuarded={isGuarded}
        snippets={(target) => [
          ["Read from here, curl", curlRead(event, target)],
          ["Read from here, TypeScript", clientRead(event, target)],
          ["Publish a copy, curl", curlPublish(event, target)],
          ["Publish a copy, TypeScript", clientPublish(event, target)],
        ]}
      />
    </div>
  );
}

function EphemeralDetails({ event }: { readonly event: EphemeralEvent }): JSX.Element {
  return (
    <div class="details">
      <p>Ephemeral: delivered to current subscribers and never stored.</p>
      <Fields
        fields={[["Type", event.type], ["Time", event.time], ["Publisher", event.publisher]]}
      />
      <Data data={event.data} />
    </div>
  );
}

function Fields(
  { fields }: { readonly fields: readonly (readonly [string, string | undefined])[] },
): JSX.Element {
  return (
    <dl class="fields">
      {fields.map(([name, value]) =>
        value === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
              <CopyButton text={value} what={name.toLowerCase()} />
            </dd>
          </div>
        )
      )}
    </dl>
  );
}

function Data({ data }: { readonly data: unknown }): JSX.Element {
  const [isBase64, setBase64] = useState(false);
  if (data instanceof Uint8Array) {
    const base64 = btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
    return (
      <section aria-label="Data">
        <div class="row">
          <h3>Data</h3>
          <small>{formatBytes(data.length)}</small>
          <button
            type="button"
            class="bare end"
            aria-pressed={isBase64}
            onClick={() => setBase64(!isBase64)}
          >
            {isBase64 ? "Show hex" : "Show base64"}
          </button>
          <CopyButton text={isBase64 ? base64 : hexOf(data)} what="the data" />
        </div>
        <pre tabIndex={0}>{isBase64 ? base64.slice(0, MAX_TEXT_CHARS) : dumpOf(data)}</pre>
        {data.length > MAX_DUMP_BYTES && !isBase64 && (
          <p class="outcome">
            The first {formatBytes(MAX_DUMP_BYTES)} are shown. Copy includes everything.
          </p>
        )}
      </section>
    );
  }
  const text = typeof data === "string" ? data : jsonOf(data, 2) ?? TOO_DEEP;
  return (
    <section aria-label="Data">
      <div class="row">
        <h3>Data</h3>
        <span class="end">
          <CopyButton text={text} what="the data" />
        </span>
      </div>
      <pre tabIndex={0}>
        {typeof data === "string" ? text.slice(0, MAX_TEXT_CHARS) : <Json text={text.slice(0, MAX_TEXT_CHARS)} />}
      </pre>
      {text.length > MAX_TEXT_CHARS && (
        <p class="outcome">Only the beginning is shown. Copy includes everything.</p>
      )}
    </section>
  );
}

/** Matches a string, with a colon if it is a property name; a number; a keyword. */
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** Highlights the strings, numbers and property names of JSON. */
function Json({ text }: { readonly text: string }): JSX.Element {
  const parts: (JSX.Element | string)[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [all, string, colon, number] = match;
    parts.push(text.slice(end, match.index));
    const kind = string === undefined
      ? number === undefined ? "word" : "number"
      : colon === undefined
      ? "string"
      : "name";
    parts.push(<span class={`json-${kind}`}>{string ?? all}</span>, colon ?? "");
    end = match.index + all.length;
  }
  return <>{parts}{text.slice(end)}</>;
}
