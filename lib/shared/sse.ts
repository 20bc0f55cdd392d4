/**
 * Framing of server-sent events, by the WHATWG HTML standard, "Server-sent events". Whatever the
 * text holds, it stays inside its field: every line end begins a new `data:` line, and the
 * parsers of ids and types have refused theirs already.
 */

const LINE_END = /\r\n|\r|\n/;

/** `data:` lines for `text`, one for each of its lines. */
export function dataLines(text: string): string {
  if (!text.includes("\n") && !text.includes("\r")) return `data: ${text}\n`;
  return text.split(LINE_END).map((line) => `data: ${line}\n`).join("");
}

/** One event. `id` and `type` have no line end and no NUL. */
export function sseEvent(id: string, type: string | undefined, data: string): string {
  return type === undefined
    ? `id: ${id}\n${dataLines(data)}\n`
    : `id: ${id}\nevent: ${type}\n${dataLines(data)}\n`;
}

/** An event that moves no cursor. */
export function sseNotice(type: string | undefined, data: string): string {
  return `${type === undefined ? "" : `event: ${type}\n`}${dataLines(data)}\n`;
}

/**
 * How a stream begins: the reconnection time in milliseconds, a comment that opens proxies, and
 * the cursor. An `id` without data dispatches nothing, but a client that loses the connection
 * before the first event comes back with it.
 */
export function sseOpening(retry: number, cursor: string): string {
  return `retry: ${retry}\n: weir\nid: ${cursor}\n\n`;
}

export const SSE_HEARTBEAT = ":\n\n";
