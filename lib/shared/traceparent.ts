/** Characters of a `traceparent` that is parsed. Guards against long values of later versions. */
const MAX_CHARS = 128;

const FORMAT =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** The flags that are defined: sampled, and random trace id. */
const KNOWN_FLAGS = 0b11;

/**
 * Parses a `traceparent` of W3C Trace Context. Returns it in the form of version `00`: of a later
 * version the trace id, the parent id and the flags that version `00` knows.
 *
 * @returns undefined if there is none, and if it is invalid, so that it counts as none, as the
 * standard demands.
 */
export function parseTraceparent(text: string | null | undefined): string | undefined {
  if (!text || text.length > MAX_CHARS) return undefined;
  const [, version, traceId, parentId, flags = "", rest] = FORMAT.exec(text) ?? [];
  if (version === undefined || (version === "00" && rest !== undefined)) return undefined;
  const known = (parseInt(flags, 16) & KNOWN_FLAGS).toString(16).padStart(2, "0");
  return `00-${traceId}-${parentId}-${known}`;
}

/** A span of another process, as a `SpanContext` of OpenTelemetry. */
interface RemoteSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote: true;
}

/** Returns the span that a `traceparent` names. Undefined if there is none, or it is invalid. */
export function spanContextOf(traceparent: string | undefined): RemoteSpan | undefined {
  const [, traceId, spanId, flags] = parseTraceparent(traceparent)?.split("-") ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number(flags), isRemote: true };
}
