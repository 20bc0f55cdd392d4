import assert from "node:assert/strict";
import {
  dumpOf,
  eventOf,
  MAX_DUMP_BYTES,
  previewOf,
  textOf,
  TOO_DEEP,
} from "../../../islands/console/event_text.ts";
import { RateMeter } from "../../../islands/console/rate_meter.ts";
import type { Channel } from "../../../lib/shared/channel.ts";
import type { Offset } from "../../../lib/shared/offset.ts";
import { eventAt } from "./support.ts";

Deno.test("previewOf() returns one short line for any data", () => {
  const previews = [
    { a: [1, "x\n"] },
    "two\r\nlines",
    new Uint8Array([0, 255]),
    null,
    "x".repeat(999),
  ]
    .map((data) => previewOf({ data }));
  assert.deepEqual(previews, [
    `{"a":[1,"x\\n"]}`,
    "two lines",
    "00ff",
    "null",
    `${"x".repeat(240)}…`,
  ]);
});

Deno.test("dumpOf() shows positions, bytes and ASCII", () => {
  const bytes = Uint8Array.from({ length: 18 }, (_, i) => i === 17 ? 0x41 : i);
  assert.equal(
    dumpOf(bytes),
    "000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................\n" +
      `000010  10 41${" ".repeat(42)}  .A`,
  );
  assert.equal(dumpOf(new Uint8Array(100_000)).split("\n").length, MAX_DUMP_BYTES / 16);
});

Deno.test("eventOf() decodes base64", () => {
  const { offset, id, time } = eventAt(1);
  const event = eventOf({
    channel: "orders" as Channel,
    offset: offset as Offset,
    id,
    type: "message",
    time,
    contentType: "image/png",
    data: "AP8=",
    encoding: "base64",
  });
  assert.deepEqual(event.data, new Uint8Array([0, 255]));
  assert.equal("encoding" in event, false);
});

Deno.test("a rate is the mean of the last seconds", () => {
  const meter = new RateMeter();
  const rates = [10, 0, 5, 5, 5, 5, 5].map((count) => {
    for (let i = 0; i < count; i++) meter.count();
    return meter.tick();
  });
  assert.deepEqual(rates, [10, 5, 5, 5, 5, 4, 5]);
});

Deno.test("data that is nested too deeply to format has a notice", () => {
  const data = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  assert.equal(previewOf({ data }), TOO_DEEP);
  assert.equal(textOf(data), TOO_DEEP);
});
