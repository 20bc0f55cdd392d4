import type { WeirEvent } from "../../lib/client/api.ts";
import { shellQuoted } from "../../lib/shared/shell_quoted.ts";
import { jsonOf } from "./event_text.ts";
import { offsetOf, parsePosition } from "./timeline.ts";

/** Characters of data in a command. Guards against commands too long for a shell. */
const MAX_DATA_CHARS = 16_384;
const DEFAULT_TYPE = "message";

/** The server that snippets address. */
export interface SnippetTarget {
  /** `http://127.0.0.1:8000` */
  readonly origin: string;
  /**
   * Whether a credential is needed. Snippets contain the placeholder `$TOKEN`, never a credential.
   */
  readonly isGuarded: boolean;
}

/** The parts of an event that a copy has. */
type Publishable = Pick<WeirEvent, "channel" | "data" | "contentType" | "type" | "key">;

/** Returns a command that reads the channel from this event on. */
export function curlRead({ channel, offset }: WeirEvent, target: SnippetTarget): string {
  return command([
    "curl -N",
    ...authorization(target),
    `-H "Accept: text/event-stream"`,
    `-H "Last-Event-ID: ${offsetBefore(offset)}"`,
    shellQuoted(urlOf(target, channel)),
  ]);
}

/** Returns a command that reads all events of the channel and then follows it. */
export function curlFollow(channel: string, target: SnippetTarget): string {
  return command([
    "curl -N",
    ...authorization(target),
    `-H "Accept: text/event-stream"`,
    shellQuoted(`${urlOf(target, channel)}?after=earliest`),
  ]);
}

/** Commands that install the client library. */
export const INSTALL = `# in Weir's folder
deno task package
# in your application's folder
npm install path/to/weir/dist/package/weir-client-*.tgz`;

/** Returns a command that publishes a first event. */
export function curlFirst(channel: string, target: SnippetTarget): string | undefined {
  return curlPublish(firstEvent(channel), target);
}

/** Returns a program that publishes a first event. */
export function clientFirst(channel: string, target: SnippetTarget): string | undefined {
  return clientPublish(firstEvent(channel), target);
}

/** Returns a React component that shows all events of the channel. */
export function reactRead(channel: string, target: SnippetTarget): string {
  return `import { connect } from "weir-client";
import { useChannel } from "weir-client/react";

const weir = ${connectCall(target)};

export function Events() {
  const { items } = useChannel(weir, ${JSON.stringify(channel)}, {
    after: "earliest",
  });
  return (
    <ul>
      {items.map((item) =>
        item.kind === "gap"
          ? <li key={item.firstAvailable}>A gap</li>
          : <li key={item.id}>{JSON.stringify(item.data)}</li>
      )}
    </ul>
  );
}`;
}

function firstEvent(channel: string): Publishable {
  const data = { hello: "world" };
  return { channel, data, contentType: "application/json", type: DEFAULT_TYPE };
}

/**
 * Returns a command that publishes a copy of the event, or undefined if its data is too large
 * or too deep, or its type or key cannot be sent in a header.
 */
export function curlPublish(event: Publishable, target: SnippetTarget): string | undefined {
  const { data, contentType, type, key } = event;
  const isBytes = data instanceof Uint8Array;
  const text = isBytes
    ? btoa(String.fromCharCode(...data.subarray(0, MAX_DATA_CHARS)))
    : typeof data === "string" && !isJson(contentType)
    ? data
    : jsonOf(data);
  if (text === undefined) return undefined;
  if ((isBytes ? data.length : text.length) > MAX_DATA_CHARS) return undefined;
  if (!isAscii(type + (key ?? ""))) return undefined;
  const curl = command([
    "curl -X POST",
    ...authorization(target),
    `-H ${shellQuoted(`Content-Type: ${contentType}`)}`,
    ...type === DEFAULT_TYPE ? [] : [`-H ${shellQuoted(`Weir-Type: ${type}`)}`],
    ...key === undefined ? [] : [`-H ${shellQuoted(`Weir-Key: ${key}`)}`],
    // Not --data-binary, which reads a file if the data starts with @.
    isBytes ? "--data-binary @-" : `--data-raw ${shellQuoted(text)}`,
    shellQuoted(urlOf(target, event.channel)),
  ]);
  return isBytes ? `printf %s ${shellQuoted(text)} | base64 -d |\n${curl}` : curl;
}

/** Returns a program that reads the channel from this event on. */
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

/** Returns a program that publishes a copy, or undefined if the data is bytes, too large or too deep. */
export function clientPublish(event: Publishable, target: SnippetTarget): string | undefined {
  const { channel, data, type, key, contentType } = event;
  const text = jsonOf(data);
  if (text === undefined || text.length > MAX_DATA_CHARS) return undefined;
  if (data instanceof Uint8Array || !isJson(contentType)) return undefined;
  const options = [
    ...type === DEFAULT_TYPE ? [] : [`type: ${JSON.stringify(type)}`],
    ...key === undefined ? [] : [`key: ${JSON.stringify(key)}`],
  ];
  const last = options.length === 0 ? "" : `, { ${options.join(", ")} }`;
  return `import { connect } from "weir-client";

const weir = ${connectCall(target)};
await weir.publish(${JSON.stringify(channel)}, ${text}${last});
await weir.close();`;
}

/** Returns the offset directly before `offset`. */
function offsetBefore(offset: string): string {
  const position = parsePosition(offset);
  if (position === undefined) return offset;
  return offsetOf({ ...position, sequence: position.sequence - 1 });
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
