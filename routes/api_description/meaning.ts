/** A part of a JSON Schema (draft 2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a parameter or a member of a body means. */
export interface Meaning {
  readonly text: string;
  /** What Weir requires in addition to the Zod schema, such as `maxLength`. */
  readonly schema?: JsonSchema;
  readonly example?: unknown;
}
