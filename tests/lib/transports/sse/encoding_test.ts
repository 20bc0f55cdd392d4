import assert from "node:assert/strict";
import { dataText } from "../../../../lib/shared/event.ts";
import { formatOffset } from "../../../../lib/shared/offset.ts";
import { sseEvent } from "../../../../lib/shared/sse.ts";
import { encodeSseRun, sseEnvelope } from "../../../../lib/transports/sse/encoding.ts";
import { testChannelKey } from "../../../support/drafts.ts";
import { TEST_EPOCH, testRun } from "../../../support/runs.ts";

const SIZES = [10, 100_000, 20, 30, 50_000, 60_000, 40];
const GAP = {
  reason: "expired",
  requested: formatOffset(TEST_EPOCH, 0),
  firstAvailable: formatOffset(TEST_EPOCH, 6),
  lost: 5,
} as const;
const run = testRun(testChannelKey("a"), 5, SIZES.map((size) => "x".repeat(size)), GAP);

function textOf(parts: readonly Uint8Array[]): string {
  return parts.map((part) => new TextDecoder().decode(part)).join("");
}

Deno.test("encodeSseRun() gives each event the stream's own cursor, in the order of sequences", () => {
  const text = textOf(encodeSseRun(run, false, (sequence) => `own-${sequence}`));
  const [gap, ...events] = text.split(/(?<=\n\n)/);
  assert.match(gap ?? "", /^id: own-5\nevent: weir\.gap\n/);
  const expected = run.events.map(({ sequence, data }) =>
    sseEvent(`own-${sequence}`, undefined, dataText(data))
  );
  assert.deepEqual(events, expected);
});

Deno.test("encodeSseRun() differs from the encoding for one channel only in the cursor", () => {
  const parts = encodeSseRun(run, true, (sequence) => formatOffset(TEST_EPOCH, sequence));
  assert.equal(textOf(parts), textOf([run.encode(sseEnvelope)]));
});

Deno.test("streams whose cursors differ share the bytes of large events", () => {
  for (const isEnveloped of [false, true]) {
    const [one, other] = ["one", "other"].map((cursor) => {
      return encodeSseRun(run, isEnveloped, (sequence) => `${cursor}-${sequence}`);
    });
    const shared = one?.filter((part) => other?.includes(part)) ?? [];
    assert.equal(shared.length, 3);
    const bytes = (parts: readonly Uint8Array[]) => parts.reduce((n, part) => n + part.length, 0);
    assert.ok(bytes(one ?? []) - bytes(shared) < 2_000);
  }
});
