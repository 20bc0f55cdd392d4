import assert from "node:assert/strict";
import { formatBytes, progressLine } from "../../../lib/terminal/progress.ts";

Deno.test("the progress shows a bar where the size of the input is known", () => {
  const progress = { events: 1_500, refused: 0, bytes: 250, totalBytes: 1_000, elapsedMs: 3_000 };
  assert.equal(
    progressLine(progress, 200),
    "[######------------------] 25 %  1,500 events  500/s  9 s left",
  );
  assert.equal(
    progressLine({ ...progress, refused: 2, bytes: 1_000 }, 200),
    "[########################] 100 %  1,500 events  500/s  2 refused",
  );
  assert.equal(
    progressLine({ ...progress, totalBytes: undefined }, 200),
    "1,500 events  500/s  250 B",
  );
  assert.equal(
    progressLine({
      events: 50,
      bytes: undefined,
      totalBytes: undefined,
      totalEvents: 200,
      elapsedMs: 1_000,
    }, 200),
    "[######------------------] 25 %  50 events  50/s  3 s left",
  );
  assert.equal(
    progressLine({ ...progress, events: undefined }, 200),
    "[######------------------] 25 %  250 B of 1.0 kB  9 s left",
  );
  assert.equal(progressLine({ ...progress, bytes: 0, events: 0, elapsedMs: 0 }, 10).length, 10);
});

Deno.test("bytes are shown in decimal units", () => {
  assert.deepEqual([0, 999, 1_500, 2_340_000, 5e9].map(formatBytes), [
    "0 B",
    "999 B",
    "1.5 kB",
    "2.3 MB",
    "5.0 GB",
  ]);
});
