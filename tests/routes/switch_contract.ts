import assert from "node:assert/strict";
import fc from "fast-check";
import type { Cluster } from "../support/clusters.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { READERS } from "../support/readers.ts";

/** Consecutive subscriptions of one client, each from the cursor of the previous one. */
const legs = fc.array(
  fc.record({
    transport: fc.constantFrom(...Object.keys(READERS)),
    /** Events to read before the next switch. */
    events: fc.nat(8),
    atReader: fc.boolean(),
  }),
  { minLength: 2, maxLength: 8 },
);

/** A client may change its transport and its server at any time. */
export function switchContract(
  test: (behaviour: string, body: (cluster: Cluster) => Promise<void>) => void,
) {
  for (const count of [1, 3]) {
    test(`a client that switches transports over ${count} channel(s) sees each event once`, (cluster) =>
      fc.assert(
        fc.asyncProperty(legs, async (legs) => {
          await switchThrough(cluster, Array.from({ length: count }, newChannel).sort(), legs);
        }),
        { numRuns: 12 },
      ));
  }

  test("all transports take over from each other", async (cluster) => {
    const transports = Object.keys(READERS);
    const legs = [...transports, ...transports].map((transport) => ({
      transport,
      events: 5,
      atReader: true,
    }));
    await switchThrough(cluster, [newChannel(), newChannel()].sort(), legs);
  });
}

interface Leg {
  readonly transport: string;
  readonly events: number;
  readonly atReader: boolean;
}

/** Reads leg after leg while events are published, then the remaining events. */
async function switchThrough(
  { publishUrl, readUrl }: Cluster,
  channels: readonly string[],
  legs: readonly Leg[],
): Promise<void> {
  const total = legs.reduce((sum, { events }) => sum + events, 0) + 10;
  const seen: string[] = [];
  let cursor: string | undefined = "earliest";
  const publishing = publishTotal();
  const last: Leg = { transport: "SSE", events: total, atReader: true };
  for (const { transport, events, atReader } of [...legs, last]) {
    const open = READERS[transport];
    if (open === undefined) throw new Error(`no transport ${transport}`);
    await using reader = await open(atReader ? readUrl : publishUrl, channels, cursor);
    for (let i = 0; i < events && seen.length < total; i++) {
      const { event, gap } = await reader.next();
      if (event === undefined) throw new Error(`a gap: ${JSON.stringify(gap)}`);
      seen.push(event.offset + event.channel);
    }
    cursor = reader.cursor;
  }
  const acknowledged = await publishing;
  for (const channel of channels) {
    const isOwn = (name: string) => name.endsWith(channel);
    assert.deepEqual(seen.filter(isOwn), acknowledged.filter(isOwn));
  }

  async function publishTotal(): Promise<readonly string[]> {
    const names: string[] = [];
    for (let i = 0; i < total; i++) {
      const channel = channels[i % channels.length] ?? "";
      names.push((await publish(publishUrl, channel, i)).offset + channel);
    }
    return names;
  }
}
