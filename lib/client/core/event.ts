import type { JsonObject } from "./json_object.ts";

/** An event of a channel. `data` is bytes where it was published as neither JSON nor text. */
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
  readonly expiresAt?: string;
}

/** An event that was never stored: it has no offset, and who was not there missed it. */
export interface EphemeralEvent<T = unknown> {
  readonly kind: "ephemeral";
  readonly channel: string;
  readonly type: string;
  readonly time: string;
  readonly data: T;
}

/** Events that can't be had any more; reading goes on at `firstAvailable`. */
export interface Gap {
  readonly kind: "gap";
  readonly channel: string;
  readonly reason: "expired" | "recreated" | "ahead";
  readonly requested: string;
  readonly firstAvailable: string;
  /** How many; `null`: nobody can know. */
  readonly lost: number | null;
}

/** An event of JSON, its data decoded. */
export function toEvent({ op: _op, cursor: _cursor, encoding, ...members }: JsonObject): WeirEvent {
  const { data } = members;
  const decoded = encoding === "base64"
    ? Uint8Array.from(atob(String(data)), (char) => char.charCodeAt(0))
    : data;
  return { ...members as unknown as WeirEvent, kind: "event", data: decoded };
}
