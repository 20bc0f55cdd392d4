import assert from "node:assert/strict";
import type { Hub } from "../../../lib/hub/hub.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import {
  CHANNEL_EVENTS_PER_SECOND,
  EphemeralPublisher,
} from "../../../lib/hub/ephemeral_publisher.ts";
import { FakeClock } from "../../support/clock.ts";
import { testChannelKey } from "../../support/drafts.ts";

const EVENT = { type: "message", time: 0, contentType: "text/plain", data: "x" };

Deno.test("each channel has its own limit of ephemeral events", () => {
  const published = new Map<string, number>();
  const hub: Pick<Hub, "publishEphemeral"> = {
    publishEphemeral: (channelKey) =>
      void published.set(channelKey, (published.get(channelKey) ?? 0) + 1),
  };
  const clock = new FakeClock({ start: 0 });
  const publisher = new EphemeralPublisher({ hub, now: clock.now });
  const [a, b] = [testChannelKey("a"), testChannelKey("b")];
  for (let i = 0; i < CHANNEL_EVENTS_PER_SECOND; i++) publisher.publish(a, EVENT);
  assert.throws(() => publisher.publish(a, EVENT), (problem) => {
    assert.ok(problem instanceof Problem);
    const { policy, limit, remaining } = problem.quota ?? assert.fail();
    assert.deepEqual(
      [problem.code, policy, limit, remaining],
      ["rate_limited", "channel-ephemeral-events", 1_000, 0],
    );
    return true;
  });
  publisher.publish(b, EVENT);
  clock.advance(100);
  for (let i = 0; i < CHANNEL_EVENTS_PER_SECOND / 10; i++) publisher.publish(a, EVENT);
  assert.throws(() => publisher.publish(a, EVENT), { code: "rate_limited" });
  assert.deepEqual(Object.fromEntries(published), { [a]: 1_100, [b]: 1 });
});
