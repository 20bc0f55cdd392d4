import { deserialize } from "node:v8";
import type { WireEvent } from "../../lib/shared/event.ts";
import type { Ack } from "../support/publishing.ts";
import type { Item } from "../support/readers.ts";

/** The released versions whose fixtures are in this folder, by their commits. */
export const RELEASES = ["43c848c"] as const;

type Json = Readonly<Record<string, unknown>>;

/** A read of stored events. */
export interface RecordedRead {
  readonly channels: readonly string[];
  /** The cursor at which it starts. */
  readonly cursor: string;
  readonly items: readonly Item[];
}

/** An answer to a request. */
export interface RecordedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer to a poll after `after`. */
export interface RecordedPoll extends RecordedAnswer {
  readonly after: string;
}

/** A publish with an id, and its acknowledgement. */
export interface RecordedPublish {
  readonly event: Json;
  readonly ack: Ack;
}

/**
 * What one client received of one channel. The server stopped and was started again meanwhile, so
 * there are two connections.
 */
export interface RecordedWire {
  readonly channel: string;
  /** A cursor of an earlier epoch. */
  readonly after: string;
  /** The epochs' gap, then the events. */
  readonly items: readonly Item[];
  readonly ephemeral: readonly Json[];
  readonly sse: readonly { readonly headers: RecordedAnswer["headers"]; readonly text: string }[];
  /** The frames of each connection. The first subscription has the `ref` 1. */
  readonly socket: readonly (readonly string[])[];
  readonly longPoll: readonly RecordedPoll[];
  readonly shortPoll: readonly RecordedPoll[];
}

/** A row of a store. */
export interface RecordedRow {
  readonly key: Deno.KvKey;
  readonly value: unknown;
}

/** What a released version answered, and what it stored. */
export interface Recording {
  readonly commit: string;
  readonly env: Readonly<Record<string, string>>;
  /** Private JWKs. A revocation in the store names the second one. */
  readonly signingKey: JsonWebKey;
  readonly revokedSigningKey: JsonWebKey;
  readonly reads: readonly RecordedRead[];
  /** Of tenant `acme`. */
  readonly tenantRead: RecordedRead;
  /** A channel that was deleted, and a cursor of it. */
  readonly deleted: { readonly channel: string; readonly cursor: string };
  readonly publishes: readonly RecordedPublish[];
  /** Answers to GET, by path and query. */
  readonly answers: Readonly<Record<string, Json>>;
  readonly apiKey: string;
  readonly revokedApiKey: string;
  readonly tenantApiKey: string;
  readonly wire: RecordedWire;
  /** Answers to publishes, by name. */
  readonly publishAnswers: Readonly<Record<string, RecordedAnswer>>;
  /** What a process told others over a shared store. */
  readonly doorbell: {
    readonly channel: string;
    readonly event: WireEvent;
    readonly ephemeral: Json;
    /** Serialized by V8, in base64. The wake of the event, and the journal with both. */
    readonly wake: string;
    readonly journal: readonly string[];
  };
}

/** The files of one release. */
export interface Fixture {
  readonly recording: Recording;
  /** The modules of its npm package that a client loads, by name. */
  readonly client: Readonly<Record<string, string>>;
  /** Its store, as a SQLite file. */
  readonly store: Uint8Array<ArrayBuffer>;
}

/** Reads the fixture that `make_fixture.ts` has made from a commit. */
export async function readFixture(commit: string): Promise<Fixture> {
  const [recording, client, store] = await Promise.all(
    ["recording.json.gz", "client.json.gz", "store.db.gz"].map((name) =>
      gunzip(new URL(`${commit}/${name}`, import.meta.url))
    ),
  );
  const parse = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));
  return {
    recording: parse(recording),
    client: parse(client),
    store: store ?? new Uint8Array(),
  };
}

/** Returns a value of {@link Recording.doorbell}. */
export function deserialized(base64: string): unknown {
  return deserialize(Uint8Array.fromBase64(base64));
}

/** Returns `value` with the type of each member in place of its value. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  const { name } = value.constructor;
  if (name !== "Object") return name;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]));
}

async function gunzip(file: URL): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = new Response(await Deno.readFile(file));
  if (body === null) throw new Error("there is a body");
  return await new Response(body.pipeThrough(new DecompressionStream("gzip"))).bytes();
}
