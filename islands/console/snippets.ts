import type { WeirEvent } from "../../lib/client/api.ts";
import { offsetOf, parsePosition } from "./timeline.ts";

/** Characters of data in a command. Met: one that no shell takes. */
const MAX_DATA_CHARS = 16_384;
const DEFAULT_TYPE = "message";

/** Where the commands go. */
export interface SnippetTarget {
  /** `http://127.0.0.1:8000` */
  readonly origin: string;
  /** A credential is needed: its place is held by `$TOKEN`, it never stands there itself. */
  readonly isGuarded: boolean;
}

/** What of an event is published again. */
type Publishable = Pick<WeirEvent, "channel" | "data" | "contentType" | "type" | "key">;

/** A command that reads the channel, this event first. */
export function curlRead({ channel, offset }: WeirEvent, target: SnippetTarget): string {
  return command([
    "curl -N",
    ...authorization(target),
    `-H "Accept: text/event-stream"`,
    `-H "Last-Event-ID: ${offsetBefore(offset)}"`,
    shellQuoted(urlOf(target, channel)),
  ]);
}

/** A command that reads all that the channel has, and what comes. */
export function curlFollow(channel: string, target: SnippetTarget): string {
  return command([
    "curl -N",
    ...authorization(target),
    `-H "Accept: text/event-stream"`,
    shellQuoted(`${urlOf(target, channel)}?after=earliest`),
  ]);
}

/** A command that publishes a first event. */
export function curlFirst(channel: string, target: SnippetTarget): string | undefined {
  const data = { hello: "world" };
  return curlPublish(
    { channel, data, contentType: "application/json", type: DEFAULT_TYPE },
    target,
  );
}

/**
 * A command that publishes the same again, as a new event; none where its data is too large, or
 * its names don't go into headers.
 */
export function curlPublish(event: Publishable, target: SnippetTarget): string | undefined {
  const { data, contentType, type, key } = event;
  const isBytes = data instanceof Uint8Array;
  const text = isBytes
    ? btoa(String.fromCharCode(...data.subarray(0, MAX_DATA_CHARS)))
    : typeof data === "string" && !isJson(contentType)
    ? data
    : JSON.stringify(data);
  if ((isBytes ? data.length : text.length) > MAX_DATA_CHARS) return undefined;
  if (!isAscii(type + (key ?? ""))) return undefined;
  const curl = command([
    "curl -X POST",
    ...authorization(target),
    `-H ${shellQuoted(`Content-Type: ${contentType}`)}`,
    ...type === DEFAULT_TYPE ? [] : [`-H ${shellQuoted(`Weir-Type: ${type}`)}`],
    ...key === undefined ? [] : [`-H ${shellQuoted(`Weir-Key: ${key}`)}`],
    // Not --data-binary: it takes what begins with @ as the name of a file.
    isBytes ? "--data-binary @-" : `--data-raw ${shellQuoted(text)}`,
    shellQuoted(urlOf(target, event.channel)),
  ]);
  return isBytes ? `printf %s ${shellQuoted(text)} | base64 -d |\n${curl}` : curl;
}

/** A program that reads the channel, this event first. */
export function clientRead({ channel, offset }: WeirEvent, target: SnippetTarget): string {
  return `import { connect } from "weir-client";

const weir = ${connectCall(target)};
const events = weir.subscribe(${JSON.stringify(channel)}, {
  after: ${JSON.stringify(offsetBefore(offset))},
});
for await (const item of events) {
  if (item.kind === "gap") console.warn("missing:", item.lost);
  else console.log(item.offset, item.data);
}`;
}

/** A program that publishes the same again, as a new event; none for bytes and large data. */
export function clientPublish(event: WeirEvent, target: SnippetTarget): string | undefined {
  const { channel, data, type, key, contentType } = event;
  const text = JSON.stringify(data);
  if (data instanceof Uint8Array || !isJson(contentType) || text.length > MAX_DATA_CHARS) {
    return undefined;
  }
  const options = [
    ...type === DEFAULT_TYPE ? [] : [`type: ${JSON.stringify(type)}`],
    ...key === undefined ? [] : [`key: ${JSON.stringify(key)}`],
  ];
  const last = options.length === 0 ? "" : `, { ${options.join(", ")} }`;
  return `import { connect } from "weir-client";

await using weir = ${connectCall(target)};
await weir.publish(${JSON.stringify(channel)}, ${text}${last});`;
}

/** The offset behind which the event of `offset` is the next. */
function offsetBefore(offset: string): string {
  const place = parsePosition(offset);
  if (place === undefined) return offset;
  return offsetOf({ ...place, sequence: place.sequence - 1 });
}

function authorization({ isGuarded }: SnippetTarget): readonly string[] {
  return isGuarded ? [`-H "Authorization: Bearer $TOKEN"`] : [];
}

function connectCall({ origin, isGuarded }: SnippetTarget): string {
  const options = isGuarded ? `, { auth: () => "$TOKEN" }` : "";
  return `connect(${JSON.stringify(origin)}${options})`;
}

function urlOf({ origin }: SnippetTarget, channel: string): string {
  return `${origin}/v1/channels/${encodeURIComponent(channel)}/events`;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

function isJson(contentType: string): boolean {
  return /^[^;]*[/+]json\s*(?:;|$)/i.test(contentType);
}

function command(parts: readonly string[]): string {
  return parts.join(" \\\n  ");
}

/** For a POSIX shell: nothing within is anything but itself. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
