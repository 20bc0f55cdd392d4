import type { z } from "zod";
import type { ProblemCode } from "../../lib/shared/problem_codes.ts";
import type { RequestHeader, ResponseHeader } from "./headers.ts";
import type { JsonSchema, Meaning } from "./meaning.ts";
import type { schemas } from "./schemas.ts";

/** The name of an answer's schema. It is a name, so that no answer's schema is made at start-up. */
export type SchemaName = keyof typeof schemas;

/** The Zod schema that a handler parses by, and what each of its members means. */
export interface DescribedSchema {
  readonly schema: z.ZodType;
  /** By the member's name; members of members have a dot, as in `retention.age`. */
  readonly members: Readonly<Record<string, Meaning>>;
}

/** A body that is JSON. */
export interface JsonBody extends DescribedSchema {
  /** Names the schema in the description. */
  readonly name: string;
  /** What Weir requires of the whole in addition to the Zod schema. */
  readonly constraints?: JsonSchema;
  readonly example: unknown;
}

/** A body that Weir takes as it is. */
interface PlainBody {
  readonly text: string;
  readonly plain: JsonSchema;
  readonly example?: unknown;
}

/** One successful answer. */
export interface Answer {
  readonly text: string;
  /** The schema of a JSON answer, or several of which it has one. */
  readonly json?: SchemaName | readonly SchemaName[];
  /** Further media types, with what their text is. */
  readonly other?: Readonly<Record<string, string>>;
  readonly headers?: readonly ResponseHeader[];
}

export type Tag =
  | "Publish"
  | "Read"
  | "Channels"
  | "Presence"
  | "Credentials"
  | "Administration"
  | "Server"
  | "Pages";

/** What `/openapi.json` says about a route. It is next to the route's handler. */
export interface RouteDescription {
  /** The `operationId`: clients that are generated name their methods so. */
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  /** Markdown. */
  readonly text?: string;
  /** Whether the route needs a credential, unless the server is open. */
  readonly needsCredential: boolean;
  /** By the names in the path. */
  readonly path?: Readonly<Record<string, Meaning>>;
  readonly query?: DescribedSchema;
  /** Query parameters that may be repeated, and that the handler parses itself. */
  readonly lists?: Readonly<Record<string, Meaning>>;
  /** Whether a ticket in the query can replace the credential. */
  readonly takesTicket?: boolean;
  readonly headers?: readonly RequestHeader[];
  /** Those of `headers` without which the route refuses. */
  readonly neededHeaders?: readonly RequestHeader[];
  readonly body?: Readonly<Record<string, JsonBody | PlainBody>>;
  readonly needsBody?: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Its refusals, apart from those of every route. */
  readonly problems: readonly ProblemCode[];
}

/**
 * Describes an object that is parsed by `schema`. A member without a meaning is an error of types.
 */
export function described<Schema extends z.ZodObject>(
  schema: Schema,
  members: Readonly<Record<keyof Schema["shape"] & string, Meaning>>,
  further: Readonly<Record<string, Meaning>> = {},
): DescribedSchema {
  return { schema, members: { ...members, ...further } };
}

/** Describes a body of JSON that is parsed by `schema`. @param inner members of members */
export function jsonBody<Schema extends z.ZodObject>(
  { schema, members, inner = {}, ...body }: Pick<JsonBody, "name" | "constraints" | "example"> & {
    readonly schema: Schema;
    readonly members: Readonly<Record<keyof Schema["shape"] & string, Meaning>>;
    readonly inner?: Readonly<Record<string, Meaning>>;
  },
): Readonly<Record<"application/json", JsonBody>> {
  return { "application/json": { ...body, ...described(schema, members, inner) } };
}
