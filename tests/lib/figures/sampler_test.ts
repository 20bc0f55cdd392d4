import assert from "node:assert/strict";
import { Meter } from "../../../lib/figures/meter.ts";
import { Sampler } from "../../../lib/figures/sampler.ts";
import { channelKeyOf, DEFAULT_TENANT, parseChannel } from "../../../lib/shared/channel.ts";
import { durationOf, quantiles } from "../../../lib/shared/histogram.ts";
import { FakeClock } from "../../support/clock.ts";

const ADDRESS = channelKeyOf(DEFAULT_TENANT, parseChannel("a"));
const START = Date.UTC(2026, 10, 21);

interface Sampling extends Disposable {
  readonly clock: FakeClock;
  readonly meter: Meter;
  readonly sampler: Sampler;
}

function sample(): Sampling {
  const clock = new FakeClock({ start: 0, replaces: ["intervals"] });
  const meter = new Meter();
  const sampler = new Sampler({
    take: () => meter.take(),
    gauges: () => ({
      connections: { ...meter.open, websocket: 7 },
      subscriptions: { live: 1, catchingUp: 2, lag: 3 },
    }),
    onDelay: (milliseconds) => meter.delayed(milliseconds),
    onSample() {},
    now: () => START + clock.now(),
    monotonic: clock.now,
  });
  return {
    clock,
    meter,
    sampler,
    [Symbol.dispose]() {
      sampler[Symbol.dispose]();
      assert.equal(clock.timers, 0);
      clock[Symbol.dispose]();
    },
  };
}

Deno.test("a sample has the counts since the last one, and the current state of the isolate", () => {
  using sampling = sample();
  const { clock, meter, sampler } = sampling;
  meter.appended(ADDRESS, 2);
  meter.stored(ADDRESS, 5);
  meter.committed("stored", 5, 1);
  meter.flushed(ADDRESS, 50, 3);
  meter.caughtUp(ADDRESS, 9);
  meter.refused();
  meter.ephemeralPublished(ADDRESS);
  using _stream = meter.connected("sse", { [Symbol.dispose]() {} });
  clock.advance(1_000);
  meter.appended(ADDRESS, 2);
  clock.advance(1_000);
  const [first, second] = sampler.after(0);
  assert.ok(first !== undefined && second !== undefined);
  const { isolate, durations, ...others } = first;
  assert.match(isolate, /^[0-9a-f]{8}$/);
  assert.deepEqual(others, {
    started: "2026-11-21T00:00:00.000Z",
    at: "2026-11-21T00:00:01.000Z",
    seconds: 1,
    connections: { sse: 1, longPoll: 0, websocket: 7 },
    subscriptions: { live: 1, catchingUp: 2, lag: 3 },
    publishes: { accepted: 2, refused: 1 },
    events: 5,
    ephemeral: 1,
    deliveries: { live: 50, caughtUp: 9 },
  });
  const [p1 = NaN] = quantiles(durations.delivery, [0.01]);
  assert.ok(p1 > 2.8 && p1 < 3.2, `${p1}`);
  assert.equal(durations.delivery[1], 50);
  assert.deepEqual(
    [second.isolate, second.publishes, second.events, second.durations.commit],
    [isolate, { accepted: 1, refused: 0 }, 0, []],
  );
});

Deno.test("a late sample says how much time it covers", () => {
  using sampling = sample();
  const { clock, sampler } = sampling;
  clock.advance(1_000);
  clock.set(clock.now() + 400); // as if the event loop was blocked
  clock.advance(1_000);
  assert.deepEqual(sampler.after(0).map(({ seconds }) => seconds), [1, 1.4]);
});

Deno.test("the delay of timers is measured ten times per second", () => {
  using sampling = sample();
  const { clock, sampler } = sampling;
  clock.advance(500);
  clock.set(clock.now() + 250);
  clock.advance(500);
  const [first] = sampler.after(0);
  const buckets = first?.durations.eventLoop ?? [];
  const longest = durationOf(buckets.at(-2) ?? 0);
  assert.ok(longest > 235 && longest < 265, `${longest}`);
  const looks = buckets.reduce((sum, count, i) => i % 2 === 1 ? sum + count : sum, 0);
  assert.ok(looks === 9 || looks === 10, `${looks} looks`); // the last is in the same ms
});

Deno.test("two minutes of samples are kept", () => {
  using sampling = sample();
  const { clock, sampler } = sampling;
  clock.advance(200_000);
  assert.equal(sampler.taken, 200);
  const kept = sampler.after(0);
  assert.equal(kept.length, 120);
  assert.equal(kept.at(-1)?.at, "2026-11-21T00:03:20.000Z");
  assert.deepEqual(sampler.after(197).map(({ at }) => at), kept.slice(-3).map(({ at }) => at));
  assert.deepEqual(sampler.after(200), []);
});
