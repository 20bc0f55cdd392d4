import assert from "node:assert/strict";
import {
  formatBytes,
  formatClock,
  formatCompact,
  formatCount,
  formatDate,
  formatDuration,
  formatName,
  formatRate,
} from "../../islands/format.ts";

Deno.test("figures are rounded to useful digits", () => {
  assert.deepEqual([0, 12_345].map(formatCount), ["0", "12,345"]);
  assert.deepEqual([999, 12_345, 2_000_000].map(formatCompact), ["999", "12.3K", "2M"]);
  assert.deepEqual([0, 0.42, 9.94, 9.96, 1_234.4].map(formatRate), [
    "0",
    "0.4",
    "9.9",
    "10",
    "1,234",
  ]);
  assert.deepEqual([0, 1, 1_023, 1_024, 1_300_000, 5e15].map(formatBytes), [
    "0 bytes",
    "1 byte",
    "1,023 bytes",
    "1 KiB",
    "1.2 MiB",
    "4,547 TiB",
  ]);
});

Deno.test("formatName() escapes characters that change the direction of text", () => {
  assert.equal(formatName("ns.\u202eevil\u2066"), "ns.\\u202eevil\\u2066");
  assert.equal(formatName("قناة 🌊 <b>"), "قناة 🌊 <b>");
});

Deno.test("formatDuration() chooses a readable unit", () => {
  const minute = 60_000;
  assert.deepEqual(
    [0, 0.84, 12.4, 999.4, 1_200, 3 * minute, 300 * minute, 7 * 24 * 60 * minute].map(
      formatDuration,
    ),
    ["0 ms", "0.8 ms", "12 ms", "999 ms", "1.2 s", "3 min", "5 h", "7 days"],
  );
});

Deno.test("formatClock() and formatDate() keep UTC", () => {
  const time = "2026-11-21T03:13:58.566Z";
  assert.deepEqual([formatDate(time), formatClock(time)], ["2026-11-21", "03:13:58.566"]);
});
