import type { WeirEvent } from "../../lib/client/api.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { formatName } from "../format.ts";

/** Characters of an event's data that a row shows. */
const PREVIEW_CHARS = 240;
/** Bytes of a hex dump. Guards against laying out a megabyte of hex. */
export const MAX_DUMP_BYTES = 4_096;
const LINE_BYTES = 16;
/** Stands for data that was stored before Weir limited its depth. */
export const TOO_DEEP = "(nested too deeply to show)";

/** Converts data to text for searches and previews: JSON, the text itself, or bytes in hex. */
export function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  if (data instanceof Uint8Array) return hexOf(data.subarray(0, PREVIEW_CHARS));
  return jsonOf(data) ?? TOO_DEEP;
}

/** Formats data as JSON; undefined if it is nested too deeply for the browser. */
export function jsonOf(data: unknown, indent?: number): string | undefined {
  try {
    return JSON.stringify(data, null, indent) ?? "";
  } catch (cause) {
    if (cause instanceof RangeError) return undefined;
    throw cause;
  }
}

const previews = new WeakMap<object, string>();

/** Returns the start of the data on one line. */
export function previewOf(event: Pick<WeirEvent, "data">): string {
  let preview = previews.get(event);
  if (preview === undefined) {
    const text = textOf(event.data);
    preview = formatName(text.slice(0, PREVIEW_CHARS).replaceAll(/\s+/g, " "));
    if (text.length > PREVIEW_CHARS) preview += "…";
    previews.set(event, preview);
  }
  return preview;
}

/** `00ff1a…` */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Formats a hex dump: lines of a position, 16 bytes in hex, and the same as ASCII. */
export function dumpOf(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, MAX_DUMP_BYTES); at += LINE_BYTES) {
    const line = bytes.subarray(at, at + LINE_BYTES);
    const hex = Array.from(line, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = Array.from(
      line,
      (byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".",
    );
    lines.push(
      `${at.toString(16).padStart(6, "0")}  ${hex.padEnd(3 * LINE_BYTES - 1)}  ${ascii.join("")}`,
    );
  }
  return lines.join("\n");
}

/** Converts an event from the page's props to the client's form. */
export function eventOf(wire: WireEvent): WeirEvent {
  const { encoding, data, ...members } = wire;
  return {
    kind: "event",
    ...members,
    data: encoding === "base64" && typeof data === "string" ? bytesOf(data) : data,
  };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
