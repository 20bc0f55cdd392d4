import assert from "node:assert/strict";
import fc from "fast-check";
import {
  drawnHeight,
  drawnRows,
  MAX_HEIGHT,
  scrollTopOf,
  selectionAfter,
  topOf,
  topToShow,
} from "../../../islands/console/virtual_scroll.ts";

const extents = fc.record({
  rows: fc.oneof(fc.nat(100), fc.nat(100_000_000)),
  rowHeight: fc.constantFrom(30, 56),
  window: fc.integer({ min: 100, max: 2_000 }),
});

Deno.test("a list of any length scrolls from its first row to its last", () => {
  fc.assert(fc.property(extents, (extent) => {
    const height = drawnHeight(extent);
    assert.ok(height <= MAX_HEIGHT);
    assert.equal(topOf(0, extent), 0);
    const end = topOf(Math.max(0, height - extent.window), extent);
    assert.equal(drawnRows(end, extent).end, extent.rows);
    assert.ok(Math.abs(end - Math.max(0, extent.rows * extent.rowHeight - extent.window)) < 1e-3);
  }));
});

Deno.test("the drawn rows fill the window and few others are drawn", () => {
  fc.assert(fc.property(extents, fc.double({ min: 0, max: 1, noNaN: true }), (extent, part) => {
    const scrollTop = part * Math.max(0, drawnHeight(extent) - extent.window);
    const top = topOf(scrollTop, extent);
    const { start, end } = drawnRows(top, extent);
    assert.ok(end - start <= extent.window / extent.rowHeight + 20);
    assert.ok(start * extent.rowHeight <= top || start === 0);
    assert.ok(end * extent.rowHeight >= top + extent.window || end === extent.rows);
    assert.ok(Math.abs(scrollTopOf(top, extent) - scrollTop) < 1e-3);
  }));
});

Deno.test("topToShow() moves no more than needed to show the whole row", () => {
  const extent = { rows: 100, rowHeight: 30, window: 300 };
  assert.equal(topToShow(5, 0, extent), 0);
  assert.equal(topToShow(10, 0, extent), 30);
  assert.equal(topToShow(2, 600, extent), 60);
});

Deno.test("selectionAfter() moves by rows and pages and stays within the list", () => {
  const extent = { rows: 100, rowHeight: 30, window: 300 };
  const table: readonly (readonly [string, number, number | undefined])[] = [
    ["ArrowDown", 5, 6],
    ["ArrowUp", 5, 4],
    ["ArrowUp", 0, 0],
    ["ArrowDown", 99, 99],
    ["ArrowDown", -1, 99],
    ["ArrowUp", -1, 99],
    ["PageDown", 5, 14],
    ["PageUp", 50, 41],
    ["PageUp", -1, 90],
    ["Home", 50, 0],
    ["End", 50, 99],
    ["Enter", 50, undefined],
  ];
  for (const [key, at, expected] of table) {
    assert.equal(selectionAfter(key, at, extent), expected, `${key} at ${at}`);
  }
});
