import assert from "node:assert/strict";
import fc from "fast-check";
import { cellsOf, LOST, MISSING, RECEIVED, REPAIRED } from "../../../islands/drop/chunk_cells.ts";

Deno.test("a small file has a cell per chunk", () => {
  const cells = cellsOf(Uint8Array.of(MISSING, RECEIVED, LOST, REPAIRED), 10);
  assert.deepEqual(cells, [
    { arrived: 0, hasLost: false, hasRepaired: false },
    { arrived: 1, hasLost: false, hasRepaired: false },
    { arrived: 0, hasLost: true, hasRepaired: false },
    { arrived: 1, hasLost: false, hasRepaired: true },
  ]);
  assert.deepEqual(cellsOf(new Uint8Array(), 10), []);
});

Deno.test("the cells of a large file hide neither a chunk nor a loss", () => {
  const chunk = fc.constantFrom(MISSING, RECEIVED, LOST, REPAIRED);
  fc.assert(
    fc.property(
      fc.array(chunk, { maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (all, max) => {
        const cells = cellsOf(Uint8Array.from(all), max);
        assert.equal(cells.length, Math.min(all.length, max));
        assert.equal(cells.some(({ hasLost }) => hasLost), all.includes(LOST));
        assert.equal(cells.some(({ hasRepaired }) => hasRepaired), all.includes(REPAIRED));
        const isWhole = all.every((one) => one === RECEIVED || one === REPAIRED);
        assert.equal(cells.every(({ arrived }) => arrived === 1), isWhole);
      },
    ),
  );
});
