import type { StandardSchema } from "../api.ts";

/**
 * A channel with the schema of its events' data, made once: `{ name: "orders", schema: Order }`. The
 * schema (Zod, or another of https://standardschema.dev) types what is read and what is published,
 * and validates both.
 */
export interface TypedChannel<T = unknown, Input = unknown> {
  readonly name: string;
  readonly schema: StandardSchema<T, Input>;
}

/** A channel by its name, or with its schema. */
export type ChannelOf<T = unknown, Input = unknown> = string | TypedChannel<T, Input>;

export function nameOf(channel: ChannelOf): string {
  return typeof channel === "string" ? channel : channel.name;
}

export function schemaOf<T, Input>(
  channel: ChannelOf<T, Input>,
): StandardSchema<T, Input> | undefined {
  return typeof channel === "string" ? undefined : channel.schema;
}
