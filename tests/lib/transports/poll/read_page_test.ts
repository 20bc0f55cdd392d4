import assert from "node:assert/strict";
import fc from "fast-check";
import type { Hub } from "../../../../lib/hub/hub.ts";
import { Run } from "../../../../lib/log/run.ts";
import { type ChannelKey, channelOf } from "../../../../lib/shared/channel.ts";
import { formatOffset } from "../../../../lib/shared/offset.ts";
import { type ChannelRuns, makePage, readPage } from "../../../../lib/transports/poll/read_page.ts";
import { ReadPositions } from "../../../../lib/transports/read_positions.ts";
import { testChannelKey } from "../../../support/drafts.ts";
import { TEST_EPOCH, testRun } from "../../../support/runs.ts";

const MAX_READS_AT_ONCE = 10;

/** A hub of which every channel has some runs. */
class FakeHub implements Pick<Hub, "earliest" | "latest" | "read"> {
  readonly #runs: ReadonlyMap<ChannelKey, readonly Run[]>;
  /** Events that follow the runs in each channel. */
  readonly #more: number;
  #reads = 0;
  maxReads = 0;

  constructor(runs: ReadonlyMap<ChannelKey, readonly Run[]>, more = 0) {
    this.#runs = runs;
    this.#more = more;
  }

  earliest = () => Promise.resolve({ epoch: TEST_EPOCH, sequence: 0 });
  latest = this.earliest;

  async read(channelKey: ChannelKey): ReturnType<Hub["read"]> {
    this.maxReads = Math.max(this.maxReads, ++this.#reads);
    await new Promise((resolve) => setTimeout(resolve));
    this.#reads--;
    const runs = this.#runs.get(channelKey) ?? [];
    const last = (runs.at(-1)?.last ?? 0) + this.#more;
    const head = { epoch: TEST_EPOCH, first: 1, last } as Awaited<ReturnType<Hub["read"]>>["head"];
    return { runs, head };
  }
}

function channelKeysOf(count: number): readonly ChannelKey[] {
  return Array.from({ length: count }, (_, i) => testChannelKey(`c${String(i).padStart(3, "0")}`));
}

Deno.test("a poll of many channels reads few of them at the same time", async () => {
  const channelKeys = channelKeysOf(100);
  const hub = new FakeHub(
    new Map(
      channelKeys.map((key) => [key, [testRun(key, 0, Array(4).fill(`"${"x".repeat(60_000)}"`))]]),
    ),
  );
  const page = await readPage(hub, "earliest", { channelKeys, limit: 1_000 });
  assert.ok(hub.maxReads <= MAX_READS_AT_ONCE, `${hub.maxReads} reads at once`);
  const { events, upToDate } = JSON.parse(page.body);
  assert.equal(events.length, 4);
  assert.equal(upToDate, false);
});

Deno.test("a poll of many full channels looks at few of their events", async () => {
  const channelKeys = channelKeysOf(100);
  const limit = 200;
  let looks = 0;
  const full = (key: ChannelKey, channel: number) => {
    const { events } = testRun(key, 0, Array(limit + 1).fill("1"));
    const timed = events.map((event, at) => ({
      ...event,
      get time() {
        looks++;
        return at * channelKeys.length + channel;
      },
    }));
    return new Run(key, TEST_EPOCH, 0, timed);
  };
  const runs = channelKeys.map((key, channel) => [key, [full(key, channel)]] as const);
  const page = await readPage(new FakeHub(new Map(runs)), "earliest", { channelKeys, limit });
  assert.equal(JSON.parse(page.body).events.length, limit);
  assert.ok(looks <= 20 * limit, `${looks} looks`);
});

const channelRuns = fc.record({
  times: fc.array(fc.nat(20), { maxLength: 8 }),
  chars: fc.constantFrom(1, 40_000, 300_000),
  hasGap: fc.constantFrom(false, false, false, false, true),
  hasSecondRun: fc.constantFrom(false, false, true),
});

Deno.test("a page of channels that were read one after another is the page of all of them", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(channelRuns, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom(0, 1),
      async (channels, limit, more) => {
        const channelKeys = channelKeysOf(channels.length);
        const runs = channels.map(({ times, chars, hasGap, hasSecondRun }, i): readonly Run[] => {
          const gap = {
            reason: "expired",
            requested: formatOffset(TEST_EPOCH, 0),
            firstAvailable: formatOffset(TEST_EPOCH, 3),
            lost: 2,
          } as const;
          if (times.length === 0) return [];
          const after = hasGap ? 2 : 0;
          const key = channelKeys[i] ?? testChannelKey("c");
          const sorted = [...times].sort((a, b) => a - b);
          const events = testRun(key, after, times.map(() => "x".repeat(chars))).events
            .map((event, at) => ({ ...event, time: sorted[at] ?? 0 }));
          const run = new Run(key, TEST_EPOCH, after, events, hasGap ? gap : undefined);
          return hasSecondRun ? [run, testRun(key, run.last + 3, ["y"], gap)] : [run];
        });
        const hub = new FakeHub(new Map(channelKeys.map((key, i) => [key, runs[i] ?? []])), more);
        const page = await readPage(hub, "earliest", { channelKeys, limit });
        const found = runs.map((runs, index): ChannelRuns => ({ index, runs }));
        const starts = channelKeys.map(() => ({ epoch: TEST_EPOCH, sequence: 0 }));
        const positions = new ReadPositions(channelKeys.map(channelOf), starts);
        const whole = makePage(positions, found, { limit, isAll: more === 0 });
        assert.equal(page.body, whole.body);
        assert.equal(page.cursor, whole.cursor);
      },
    ),
    { numRuns: 150 },
  );
});
