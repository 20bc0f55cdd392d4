/**
 * Formats server-sent events (WHATWG HTML, "Server-sent events"). Text cannot escape its field: each
 * of its lines becomes a `data:` line, and parsed ids and types have no line ends.
 */

const LINE_END = /\r\n|\r|\n/;

/** Formats each line of `text` as a `data:` line. */
function dataLines(text: string): string {
  if (!text.includes("\n") && !text.includes("\r")) return `data: ${text}\n`;
  return text.split(LINE_END).map((line) => `data: ${line}\n`).join("");
}

/** Formats an event. `id` and `type` must not contain a line end or NUL. */
export function sseEvent(id: string, type: string | undefined, data: string): string {
  return sseId(id) + sseNotice(type, data);
}

/** Formats the id of an event, which precedes what {@link sseNotice} returns. */
export function sseId(id: string): string {
  return `id: ${id}\n`;
}

/** Formats an event without an id, which does not move the cursor. */
export function sseNotice(type: string | undefined, data: string): string {
  return `${type === undefined ? "" : `event: ${type}\n`}${dataLines(data)}\n`;
}

/** Formats the time that a client waits before it reconnects, also after later connections. */
export function sseRetry(ms: number): string {
  return `retry: ${ms}\n`;
}

/**
 * Formats the start of a stream: a comment that makes proxies pass on the response, the reconnection
 * time, and an event with the cursor as its id. A client that loses the connection before its next
 * event sends this id when it reconnects. The event has data, because some clients pass on an event
 * without data too.
 */
export function sseOpening(retryMs: number, cursor: string): string {
  const data = JSON.stringify({ cursor });
  return `: weir\n${sseRetry(retryMs)}${sseEvent(cursor, "weir.open", data)}`;
}

/** A comment. An empty line after it would make some clients dispatch an empty event. */
export const SSE_HEARTBEAT = ":\n";
