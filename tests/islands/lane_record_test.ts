import assert from "node:assert/strict";
import { LaneRecord, WINDOW_MS } from "../../islands/lab/lane_record.ts";

const at = (sequence: number, epoch = "0mwpum2i6") =>
  `${epoch}_${String(sequence).padStart(16, "0")}`;

Deno.test("a lane counts missing and repeated events", () => {
  const lane = new LaneRecord();
  for (const sequence of [4, 5, 8, 8, 7, 9]) lane.arrived(at(sequence), 0, 1);
  assert.deepEqual([lane.received, lane.missing, lane.repeated], [6, 3, 2]);
});

Deno.test("reported gaps and recreated channels don't count as missing", () => {
  const lane = new LaneRecord();
  lane.arrived(at(1), 0, 1);
  lane.skipped(at(11));
  lane.arrived(at(11), 0, 1);
  lane.arrived(at(3, "0mwpum2i7"), 0, 1);
  assert.deepEqual([lane.received, lane.missing, lane.repeated], [3, 0, 0]);
});

Deno.test("the median is of the last hundred latencies", () => {
  const lane = new LaneRecord();
  assert.equal(lane.medianLatency, undefined);
  for (let i = 1; i <= 100; i++) lane.arrived(at(i), 0, 1_000);
  for (let i = 101; i <= 200; i++) lane.arrived(at(i), 0, i);
  lane.arrived(at(201), 0, undefined);
  assert.equal(lane.latency, 200);
  assert.equal(lane.medianLatency, 151);
});

Deno.test("a lane drops what has left its window and keeps open connections", () => {
  const lane = new LaneRecord();
  const open = lane.begin(0);
  lane.begin(0).to = 10;
  lane.cut(5);
  lane.resume(9);
  lane.arrived(at(1), 10, 1);
  lane.trim(WINDOW_MS + 10);
  assert.deepEqual([lane.spans.length, lane.arrivals.length], [2, 1]);
  lane.trim(WINDOW_MS + 11);
  assert.deepEqual([lane.spans, lane.cuts, lane.arrivals], [[open], [], []]);
  assert.equal(lane.requests, 2);
});
