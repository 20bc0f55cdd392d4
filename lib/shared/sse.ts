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
  return type === undefined
    ? `id: ${id}\n${dataLines(data)}\n`
    : `id: ${id}\nevent: ${type}\n${dataLines(data)}\n`;
}

/** Formats an event without an id, which does not move the cursor. */
export function sseNotice(type: string | undefined, data: string): string {
  return `${type === undefined ? "" : `event: ${type}\n`}${dataLines(data)}\n`;
}

/**
 * Formats the start of a stream: the reconnection time, a comment that makes proxies pass on the
 * response, and the cursor. An `id` without data dispatches no event, but a client that loses the
 * connection before its first event sends it when it reconnects.
 */
export function sseOpening(retryMs: number, cursor: string): string {
  return `retry: ${retryMs}\n: weir\nid: ${cursor}\n\n`;
}

export const SSE_HEARTBEAT = ":\n\n";
