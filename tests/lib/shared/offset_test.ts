import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  type Epoch,
  epochAt,
  epochTime,
  formatOffset,
  NO_EPOCH,
  offsetOf,
  ORIGIN,
  parseOffset,
  positionOf,
} from "../../../lib/shared/offset.ts";
import { problem } from "../../support/log_reading.ts";

const NOW = Date.UTC(2026, 0, 1);
const time = fc.integer({ min: 1, max: 36 ** 9 - 2 });
const sequence = fc.maxSafeNat();

Deno.test("parseOffset() returns what formatOffset() was given", () => {
  fc.assert(fc.property(time, sequence, (time, sequence) => {
    const position = { epoch: epochAt(time), sequence };
    const offset = offsetOf(position);
    assert.deepEqual(parseOffset(offset), position);
    assert.deepEqual(positionOf(offset), position);
  }));
});

Deno.test("offsets sort as text in log order", () => {
  const position = fc.record({ time, sequence });
  fc.assert(fc.property(position, position, (a, b) => {
    const [left, right] = [a, b].map((p) => formatOffset(epochAt(p.time), p.sequence));
    const order = a.time - b.time || a.sequence - b.sequence;
    assert.equal(Math.sign(order), left === right ? 0 : (left ?? "") < (right ?? "") ? -1 : 1);
  }));
});

Deno.test("epochTime() returns the time of creation", () => {
  assert.equal(epochTime(epochAt(NOW)), NOW);
  assert.equal(epochAt(NOW).length, 9);
  assert.equal(epochAt(NOW + 0.9), epochAt(NOW));
});

Deno.test("an epoch is later than the one before, even if the clock was set back", () => {
  fc.assert(fc.property(time, fc.integer(), (before, now) => {
    const previous = epochAt(before);
    const epoch = epochAt(now, previous);
    assert.ok(epoch > previous);
    assert.equal(epoch.length, 9);
  }));
  assert.ok(epochAt(0) > NO_EPOCH);
});

Deno.test("the origin is before every offset", () => {
  assert.ok(offsetOf(ORIGIN) < formatOffset(epochAt(1), 0));
  assert.deepEqual(parseOffset(offsetOf(ORIGIN)), ORIGIN);
});

Deno.test("parseOffset() throws bad_cursor for any other text", () => {
  const offset = formatOffset("0mwptawfq" as Epoch, 7);
  const texts = [
    "",
    " ",
    "earliest",
    "0",
    offset.slice(1),
    `${offset}0`,
    ` ${offset}`,
    `${offset}\n`,
    offset.toUpperCase(),
    offset.replace("_", "-"),
    "0mwptawfq_9999999999999999",
    "0mwptawfq_-000000000000001",
  ];
  for (const text of texts) assert.throws(() => parseOffset(text), problem("bad_cursor"), text);
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.throws(() => parseOffset(text), problem("bad_cursor"));
  }));
});
