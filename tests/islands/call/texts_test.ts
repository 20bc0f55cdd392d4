import assert from "node:assert/strict";
import fc from "fast-check";
import { screenIn } from "../../../islands/call/call_data.ts";
import { countText, presentText } from "../../../islands/call/people_text.ts";
import { bitsPerSecond, formatBitRate, formatLoss } from "../../../islands/call/quality_text.ts";
import { levelOf } from "../../../islands/call/speaking.ts";
import { sortStreams } from "../../../islands/call/tile.tsx";
import type { PeerStream } from "../../../lib/client/rtc/api.ts";

Deno.test("presentText() lists names as a sentence", () => {
  assert.equal(presentText([]), "Nobody else is here yet.");
  assert.equal(presentText(["Ann"]), "Ann is here.");
  assert.equal(presentText(["Ann", "Bob"]), "Ann and Bob are here.");
  assert.equal(presentText(["Ann", "Bob", "Cid"]), "Ann, Bob and Cid are here.");
  assert.equal(countText(1), "1 person");
  assert.equal(countText(6), "6 people");
});

Deno.test("the figures of a connection are short texts", () => {
  assert.deepEqual([0, 0.004, 0.0994, 0.12, 1].map(formatLoss), [
    "0 %",
    "0.4 %",
    "9.9 %",
    "12 %",
    "100 %",
  ]);
  assert.equal(bitsPerSecond(125, 1_000), 1_000);
  assert.equal(bitsPerSecond(-500, 1_000), 0); // a new connection
  assert.equal(bitsPerSecond(1, 0), 0);
  assert.deepEqual([0, 340_400, 999_400, 1_234_000].map(formatBitRate), [
    "0 kbit/s",
    "340 kbit/s",
    "999 kbit/s",
    "1.2 Mbit/s",
  ]);
});

Deno.test("levelOf() is the root mean square", () => {
  assert.equal(levelOf(new Float32Array([0, 0])), 0);
  assert.equal(levelOf(new Float32Array([1, -1])), 1);
  assert.equal(levelOf(new Float32Array([0.5, -0.5, 0.5, -0.5])), 0.5);
});

Deno.test("screenIn() reads an id of reasonable length from anything", () => {
  assert.equal(screenIn({ screen: "abc" }), "abc");
  assert.equal(screenIn({ screen: "x".repeat(101) }), undefined);
  fc.assert(fc.property(fc.anything(), (data) => {
    const screen = screenIn(data);
    assert.ok(screen === undefined || typeof screen === "string");
  }));
});

Deno.test("sortStreams() takes the stream that is called so, and every second one, as a screen", () => {
  const stream = (id: string) => ({ stream: { id } }) as PeerStream;
  const [camera, screen, other] = [stream("camera"), stream("screen"), stream("other")];
  assert.deepEqual(sortStreams([], "screen"), { person: undefined, screens: [] });
  assert.deepEqual(sortStreams([camera], undefined), { person: camera, screens: [] });
  assert.deepEqual(sortStreams([screen], "screen"), { person: undefined, screens: [screen] });
  assert.deepEqual(sortStreams([screen, camera], "screen"), { person: camera, screens: [screen] });
  assert.deepEqual(sortStreams([camera, other], "screen"), { person: camera, screens: [other] });
});
