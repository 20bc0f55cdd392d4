import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Channel, parseChannel } from "../../../lib/shared/channel.ts";
import { formatCursor, parseAfter, parseCursor } from "../../../lib/shared/cursor.ts";
import {
  type Epoch,
  epochAt,
  formatOffset,
  NO_EPOCH,
  ORIGIN,
  type Position,
} from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { problem } from "../../support/log_reading.ts";

const NOW = Date.UTC(2026, 0, 1);

const channelNames = (minLength: number) =>
  fc.uniqueArray(fc.stringMatching(/^[a-z0-9:/é€]{1,12}$/), { minLength, maxLength: 20 })
    .map((names) => names.toSorted().map(parseChannel));

const position: fc.Arbitrary<Position> = fc.oneof(
  fc.constant(ORIGIN),
  fc.record({
    epoch: fc.oneof(
      fc.integer({ min: 1, max: 36 ** 9 - 1 }),
      fc.integer({ min: NOW, max: NOW + 60_000 }),
    ).map((time) => epochAt(time)),
    sequence: fc.oneof(fc.nat(1_000), fc.maxSafeNat()),
  }, { noNullPrototype: true }),
);

const vector = (minLength: number) =>
  channelNames(minLength).chain((channels) =>
    fc.tuple(
      fc.constant(channels),
      fc.array(position, { minLength: channels.length, maxLength: channels.length }),
    )
  );

Deno.test("parseCursor() returns what formatCursor() was given, for any channels", () => {
  fc.assert(fc.property(vector(1), ([channels, positions]) => {
    const cursor = formatCursor(channels, positions);
    assert.match(cursor, /^[A-Za-z0-9_-]+$/);
    assert.deepEqual(parseCursor(cursor, channels), positions);
    assert.deepEqual(parseAfter(cursor, channels), positions);
  }));
});

Deno.test("formatCursor() of one channel returns its offset", () => {
  const epoch = epochAt(NOW);
  const cursor = formatCursor(["a" as Channel], [{ epoch, sequence: 7 }]);
  assert.equal(cursor, formatOffset(epoch, 7));
});

Deno.test("parseCursor() parses an offset whose epoch starts like a vector", () => {
  const [one, two] = [["a"], ["a", "b"]].map((names) => names.map(parseChannel));
  const text = "v00000000_0000000000000007";
  assert.deepEqual(parseCursor(text, one ?? []), [{ epoch: "v00000000", sequence: 7 }]);
  assert.throws(() => parseCursor(text, two ?? []), problem("cursor_other_channels"));
});

Deno.test("parseCursor() rejects the cursor of other channels", () => {
  fc.assert(fc.property(vector(1), channelNames(1), ([channels, positions], others) => {
    fc.pre(channels.length + others.length > 2 && String(channels) !== String(others));
    const cursor = formatCursor(channels, positions);
    assert.throws(() => parseCursor(cursor, others), problem("cursor_other_channels"));
  }));
});

Deno.test("parseCursor() parses any text or throws a Problem", () => {
  const channels = ["a", "b", "c"].map(parseChannel);
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.base64String().map((text) => `v${text}`),
    fc.string({ unit: fc.constantFrom(..."vAB01_-z9\n= ") }),
    fc.constantFrom("", "v", "vA", "earliest ", "Latest", `v${"A".repeat(5_000)}`),
  );
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 3 }), (text, count) => {
      try {
        checkPositions(parseAfter(text, channels.slice(0, count)), count);
      } catch (cause) {
        assertRefused(cause);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseCursor() parses a damaged cursor or throws a Problem", () => {
  fc.assert(
    fc.property(
      vector(2),
      fc.nat(),
      fc.constantFrom(..."AZaz09_-+/=\n"),
      fc.boolean(),
      ([channels, positions], place, char, isCut) => {
        const cursor = formatCursor(channels, positions);
        const at = place % cursor.length;
        const damaged = cursor.slice(0, at) + (isCut ? "" : char + cursor.slice(at + 1));
        try {
          checkPositions(parseCursor(damaged, channels), channels.length);
        } catch (cause) {
          assertRefused(cause);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("parseCursor() rejects bytes after the last position", () => {
  const channels = ["a", "b"].map(parseChannel);
  const cursor = formatCursor(channels, [ORIGIN, ORIGIN]);
  assert.throws(() => parseCursor(`${cursor}AAAA`, channels), problem("bad_cursor"));
});

Deno.test("parseAfter() accepts earliest and latest", () => {
  assert.equal(parseAfter("earliest", ["a" as Channel]), "earliest");
  assert.equal(parseAfter("latest", ["a", "b"] as Channel[]), "latest");
});

// Each channel takes at most three bytes for its epoch and three for its sequence: 92 characters with
// the header. Equal epochs or small sequences take one or two bytes.
Deno.test("the cursor of ten channels that were created within a minute has at most 92 characters", () => {
  const positions = fc.array(
    fc.record({
      epoch: fc.nat(60_000).map((after) => epochAt(NOW + after)),
      sequence: fc.nat(999_999),
    }),
    { minLength: 10, maxLength: 10 },
  );
  const channels = Array.from({ length: 10 }, (_, i) => parseChannel(`channel ${i}`));
  fc.assert(fc.property(positions, (positions) => {
    assert.ok(formatCursor(channels, positions).length < 93);
  }));
  const together = channels.map((_, i) => ({ epoch: epochAt(NOW + i * 20), sequence: 9_000 + i }));
  assert.ok(formatCursor(channels, together).length < 60);
});

function checkPositions(after: ReturnType<typeof parseAfter>, count: number): void {
  if (typeof after === "string") return;
  assert.equal(after.length, count);
  for (const { epoch, sequence } of after) {
    assert.match(epoch, /^[0-9a-z]{9}$/);
    assert.ok((epoch as Epoch) >= NO_EPOCH);
    assert.ok(Number.isSafeInteger(sequence) && sequence >= 0);
  }
}

function assertRefused(cause: unknown): void {
  assert.ok(cause instanceof Problem, String(cause));
  assert.ok(["bad_cursor", "cursor_other_channels"].includes(cause.code));
}
