import assert from "node:assert/strict";
import fc from "fast-check";
import { firstPieces, type Run } from "../../../lib/log/run.ts";
import { formatOffset } from "../../../lib/shared/offset.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { TEST_EPOCH, testRun } from "../../support/runs.ts";

const A = testChannelKey("a");
const PIECE_BYTES = 128 * 1024;

const data = fc.array(
  fc.oneof(fc.nat(100), fc.nat(50_000), fc.nat(200_000)).map((length) => "x".repeat(length)),
  { minLength: 1, maxLength: 20 },
);
const eventBytes = fc.constantFrom(64, 512, 4096, 100_000);

function gapBefore(after: number) {
  return {
    reason: "expired",
    requested: formatOffset(TEST_EPOCH, 0),
    firstAvailable: formatOffset(TEST_EPOCH, after + 1),
    lost: after,
  } as const;
}

/** Takes pieces from `sequence` on, as a subscriber does. */
function* piecesOf(run: Run, sequence: number, bytes: number): Iterable<Run> {
  let at = sequence;
  do {
    const piece = run.piece(at, bytes);
    yield piece;
    at = piece.last;
  } while (at < run.last);
}

Deno.test("the pieces of a run are its events from any sequence, and none is large", () => {
  fc.assert(
    fc.property(data, eventBytes, fc.nat(), fc.boolean(), (data, bytes, start, hasGap) => {
      const run = testRun(A, 5, data, hasGap ? gapBefore(5) : undefined);
      const from = start % (data.length + 1); // 0: before the gap
      const sequence = from === 0 ? 0 : 4 + from;
      const pieces = [...piecesOf(run, sequence, bytes)];
      const expected = from === 0 ? run.events : run.events.slice(from - 1);
      assert.deepEqual(pieces.flatMap(({ events }) => events), expected);
      const isWhole = from === 0 || (from === 1 && !hasGap);
      assert.deepEqual(pieces.map(({ gap }) => gap), [
        isWhole ? run.gap : undefined,
        ...pieces.slice(1).map(() => undefined),
      ]);
      for (const piece of pieces) {
        assert.ok(piece.events.length === 1 || piece.sizeWith(bytes) <= PIECE_BYTES);
      }
    }),
  );
});

Deno.test("subscribers share the pieces of a run, and a small run is its own piece", () => {
  const small = testRun(A, 0, ["1", "2"]);
  assert.equal(small.piece(0, 64), small);
  const large = testRun(A, 0, Array.from({ length: 100 }, () => "x".repeat(82_000)));
  const [first, second] = [[...piecesOf(large, 0, 64)], [...piecesOf(large, 0, 64)]];
  assert.equal(first.length, 100);
  first.forEach((piece, i) => assert.equal(piece, second[i]));
  // A subscriber that starts within a piece shares those after it.
  const halves = testRun(A, 0, Array.from({ length: 100 }, () => "x".repeat(50_000)));
  const [, ...others] = piecesOf(halves, 1, 64);
  const [, ...shared] = piecesOf(halves, 0, 64);
  others.forEach((piece, i) => assert.equal(piece, shared[i]));
});

Deno.test("firstPieces() takes runs up to the size of one piece, and at least one event", () => {
  fc.assert(
    fc.property(fc.array(data, { minLength: 1, maxLength: 6 }), eventBytes, (all, bytes) => {
      let after = 0;
      const runs = all.map((data) => {
        const run = testRun(A, after, data);
        after = run.last;
        return run;
      });
      const events: unknown[] = [];
      let at = 0;
      while (at < after) {
        const taken = firstPieces(runs.filter(({ last }) => last > at), at, bytes);
        const size = taken.reduce((sum, run) => sum + run.sizeWith(bytes), 0);
        const count = taken.reduce((sum, run) => sum + run.events.length, 0);
        assert.ok(count >= 1 && (count === 1 || size <= PIECE_BYTES));
        events.push(...taken.flatMap((run) => run.events));
        at = taken.at(-1)?.last ?? Infinity;
      }
      assert.deepEqual(events, runs.flatMap((run) => run.events));
    }),
  );
});
