import type { JsonObject } from "./json_object.ts";

/** An event of a channel. `data` is bytes if it was published as neither JSON nor text. */
export interface WeirEvent<T = unknown> {
  readonly kind: "event";
  readonly channel: string;
  readonly offset: string;
  readonly id: string;
  readonly type: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly contentType: string;
  readonly data: T;
  readonly key?: string;
  /** Who published it: a token's `sub`, or `key:` and an API key's id. Absent if unknown. */
  readonly publisher?: string;
  /** The span that published it, as a `traceparent` of W3C Trace Context. */
  readonly traceparent?: string;
  readonly expiresAt?: string;
}

/** An event that is delivered to current subscribers and never stored, so it has no offset. */
export interface EphemeralEvent<T = unknown> {
  readonly kind: "ephemeral";
  readonly channel: string;
  readonly type: string;
  readonly time: string;
  readonly contentType: string;
  readonly data: T;
  /** As in a {@link WeirEvent}. */
  readonly publisher?: string;
  /** As in a {@link WeirEvent}. */
  readonly traceparent?: string;
}

/** Events that are no longer available. Reading continues at `firstAvailable`. */
export interface Gap {
  readonly kind: "gap";
  readonly channel: string;
  readonly reason: "expired" | "recreated" | "restored" | "ahead";
  readonly requested: string;
  readonly firstAvailable: string;
  /** Number of lost events, or `null` if it cannot be known. */
  readonly lost: number | null;
}

/** Converts an event of the wire: decodes its data and drops the members of the transport. */
export function toEvent({ op: _op, cursor: _cursor, encoding, ...members }: JsonObject): WeirEvent {
  const { data } = members;
  const decoded = encoding === "base64"
    ? Uint8Array.from(atob(String(data)), (char) => char.charCodeAt(0))
    : data;
  return { ...members as unknown as WeirEvent, kind: "event", data: decoded };
}
