import assert from "node:assert/strict";
import { serialize } from "node:v8";
import * as fc from "fast-check";
import { KV_LIMITS } from "../../../lib/kv/limits.ts";
import {
  dataBytes,
  isBlobRef,
  joinChunks,
  lastOf,
  MAX_INLINE_BYTES,
  narrowed,
  packBatches,
  type PackedEvent,
  splitChunks,
  type StoredBatch,
  type StoredData,
  storedSize,
  unpackEvent,
} from "../../../lib/log/record_batch.ts";
import type { LogEvent } from "../../../lib/shared/event.ts";

const NOW = Date.UTC(2026, 0, 1);
const COMMIT = "abcdef019007199254740991";

/** Names with characters of all widths, up to their limit of 256 bytes. */
const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 20 }),
  fc.constantFrom(
    "x".repeat(256),
    "é".repeat(128),
    "€".repeat(85),
    "😀".repeat(64),
    `${"x".repeat(252)}😀`, // 254 characters of two bytes each
  ),
);
/** The subject of a token: up to 256 characters. */
const longName = fc.oneof(fc.constantFrom("€".repeat(256), "😀".repeat(128)), name);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** Data up to the size that a batch takes, with one or two bytes per character. */
const text = fc.tuple(
  fc.constantFrom("x", "é", "€", "😀", `${"x".repeat(99)}€`, "\0", "\ud800"),
  fc.oneof(fc.nat(20), fc.nat(500), fc.nat(MAX_INLINE_BYTES)),
).map(([unit, length]) => unit.repeat(length / unit.length));
const bytes = fc.oneof(fc.nat(20), fc.nat(MAX_INLINE_BYTES)).map((length) =>
  new Uint8Array(length).fill(255)
);
const blob = fc.record({
  blob: fc.uuid(),
  chunks: fc.integer({ min: 1, max: 17 }),
  bytes: fc.integer({ min: 1, max: 1_048_576 }),
  text: fc.boolean(),
}, { noNullPrototype: true });

const TRACEPARENT = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

const packed = fc.record({
  stored: fc.oneof<fc.Arbitrary<StoredData>[]>(text, bytes, blob),
  id: optional(name),
  type: fc.oneof(fc.constant("message"), name),
  time: fc.integer({ min: NOW, max: NOW + 1e11 }),
  contentType: fc.oneof(fc.constant("application/json"), name),
  key: optional(name),
  publisher: fc.oneof(fc.constantFrom("ann", undefined), longName),
  traceparent: fc.constantFrom(TRACEPARENT, TRACEPARENT.replace("-01", "-00"), undefined),
  expiresAt: optional(fc.integer({ min: NOW, max: 8.64e15 })),
}).filter(({ stored }) =>
  isBlobRef(stored) || storedSize(stored, dataBytes(stored)) <= MAX_INLINE_BYTES
);

const events = fc.array(packed, { minLength: 1, maxLength: 60 }).map((all) =>
  all.map(({ stored, ...rest }, i): PackedEvent => {
    const data = isBlobRef(stored) ? stored.blob : stored; // the blob's id stands for its data
    return {
      stored,
      bytes: dataBytes(stored),
      event: { sequence: i + 1, data, ...rest },
    };
  })
);

Deno.test("every batch fits into a value of the store, and can be unpacked", () => {
  fc.assert(
    fc.property(events, fc.nat(1e9), (events, startBytes) => {
      check(packBatches(COMMIT, startBytes, events), events, startBytes);
    }),
    { numRuns: 300 },
  );
});

Deno.test("a batch of many tiny events fits into a value of the store", () => {
  const names = [{ id: "1", key: "1" }, { publisher: "€" }, { traceparent: TRACEPARENT }, {
    type: "€",
  }];
  for (const rest of [{}, { expiresAt: 8.64e15 }, ...names]) {
    const events = Array.from({ length: 5_000 }, (_, i): PackedEvent => ({
      stored: "",
      bytes: 0,
      event: {
        sequence: i + 1,
        id: undefined,
        type: "message",
        time: NOW + (i * 1e9) % 1e12,
        contentType: "application/json",
        data: "",
        key: undefined,
        publisher: undefined,
        traceparent: undefined,
        expiresAt: undefined,
        ...rest,
      },
    }));
    const batches = packBatches(COMMIT, 0, events);
    check(batches, events, 0);
    assert.ok(batches.length < 20);
  }
});

Deno.test("a batch names the publisher of all its events once", () => {
  const of = (publishers: readonly (string | undefined)[]) => {
    const [batch] = packBatches(
      COMMIT,
      0,
      publishers.map((publisher, i) => packedEvent(i, publisher)),
    );
    return batch?.publishers;
  };
  assert.equal(of([undefined, undefined]), undefined);
  assert.equal(of(["ann", "ann"]), "ann");
  assert.deepEqual(of(["ann", undefined, "bob"]), ["ann", null, "bob"]);
});

Deno.test("a batch has no column for traceparents that no event has", () => {
  const [without] = packBatches(COMMIT, 0, [packedEvent(0, "ann")]);
  assert.ok(without !== undefined && !("traceparents" in without));
  assert.equal(unpackEvent(without, 0, "").traceparent, undefined);
  const packed = packedEvent(0, "ann");
  const traced = { ...packed, event: { ...packed.event, traceparent: TRACEPARENT } };
  const [batch] = packBatches(COMMIT, 0, [traced]);
  assert.equal(batch?.traceparents, TRACEPARENT);
  assert.deepEqual({ ...batch, traceparents: undefined }, { ...without, traceparents: undefined });
});

Deno.test("events of a batch that was stored without publishers have none", () => {
  const [batch] = packBatches(COMMIT, 0, [packedEvent(0, "ann")]);
  const { publishers: _, ...earlier } = batch ?? assert.fail();
  assert.equal(unpackEvent(earlier, 0, "").publisher, undefined);
});

Deno.test("narrowed() narrows text that was cut from wider text, and changes no other data", () => {
  const cut = `😀${"x".repeat(50_000)}`.slice(2);
  assert.ok(serialize(cut).length > 100_000);
  assert.ok(serialize(narrowed(cut)).length < 50_100);
  assert.equal(narrowed(cut), cut);
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.equal(narrowed(`😀${text}`.slice(2)), text);
  }));
});

Deno.test("storedSize() is never below the size of the serialization", () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), text, bytes, blob), (data) => {
    const value = narrowed(data); // in the form in which decoders and parsers return text
    assert.ok(storedSize(value, dataBytes(value)) + 8 >= serialize(value).length);
  }));
});

Deno.test("chunks fit into values of the store, and can be joined again", () => {
  const large = fc.oneof(
    fc.nat(300_000).map((length) => new Uint8Array(length).map((_, i) => i)),
    fc.tuple(fc.constantFrom("x", "é", "€x", "😀", "\ufeff"), fc.nat(100_000))
      .map(([unit, length]) => unit.repeat(length / unit.length)),
  );
  fc.assert(
    fc.property(large, (data) => {
      const chunks = splitChunks(data);
      for (const chunk of chunks) assert.ok(serialize(chunk).length <= KV_LIMITS.valueBytes);
      const blob = {
        blob: "",
        chunks: chunks.length,
        bytes: dataBytes(data),
        text: typeof data === "string",
      };
      const joined = joinChunks(blob, chunks);
      if (typeof data === "string") assert.ok(joined === data);
      else assert.deepEqual(joined, data);
    }),
    { numRuns: 30 },
  );
});

function packedEvent(index: number, publisher: string | undefined): PackedEvent {
  return {
    stored: "",
    bytes: 0,
    event: {
      sequence: index + 1,
      id: undefined,
      type: "message",
      time: NOW,
      contentType: "application/json",
      data: "",
      key: undefined,
      publisher,
      traceparent: undefined,
      expiresAt: undefined,
    },
  };
}

function check(
  batches: readonly StoredBatch[],
  events: readonly PackedEvent[],
  startBytes: number,
): void {
  const unpacked: LogEvent[] = [];
  let endBytes = startBytes;
  for (const batch of batches) {
    assert.ok(serialize(batch).length < KV_LIMITS.valueBytes);
    assert.equal(batch.first, unpacked.length + 1);
    assert.equal(batch.commit, COMMIT);
    batch.data.forEach((stored, i) => {
      endBytes += dataBytes(stored);
      unpacked.push(unpackEvent(batch, i, isBlobRef(stored) ? stored.blob : stored));
    });
    assert.equal(batch.endBytes, endBytes);
    assert.equal(lastOf(batch), unpacked.length);
  }
  assert.equal(unpacked.length, events.length);
  unpacked.forEach((event, i) => {
    const { data, ...names } = event;
    const { data: expected, ...others } = events[i]?.event ?? assert.fail();
    assert.deepEqual(names, others);
    assert.equal(typeof data, typeof expected);
    if (typeof data === "string") assert.ok(data === expected);
    else assert.equal(data.length, expected.length);
  });
}
