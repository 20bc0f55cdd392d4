// A program that publishes steadily with the producer, one event at a time in each channel.
// `rolling.ts` starts it, and asks it for reports.
import { createProducer } from "../../lib/client/server/producer.ts";
import { delay } from "../../lib/shared/async/delay.ts";
import { parseOffset } from "../../lib/shared/offset.ts";
import {
  type PublisherReport,
  type PublisherStart,
  readCommands,
  report,
} from "./rolling_messages.ts";

const [start = "{}"] = Deno.args;
const { url, channels, intervalMs } = JSON.parse(start) as PublisherStart;
const producer = createProducer(url);
const published: Record<string, number> = {};
const failures: string[] = [];
const durations: number[] = [];
let isStopped = false;

const publishing = channels.map(async (channel, i) => {
  await delay(intervalMs * i / channels.length);
  for (let n = 1; !isStopped; n++) {
    const startedAt = performance.now();
    try {
      const at = performance.timeOrigin + startedAt;
      const { offset } = await producer.publish(channel, { n, at });
      const { sequence } = parseOffset(offset);
      if (sequence !== n) failures.push(`${channel}: event ${n} was stored as ${sequence}`);
    } catch (cause) {
      failures.push(`${channel}: ${cause}`);
    }
    published[channel] = n;
    const durationMs = performance.now() - startedAt;
    durations.push(durationMs);
    await delay(Math.max(0, intervalMs - durationMs));
  }
});

for await (const { stop } of readCommands()) {
  isStopped ||= stop === true;
  if (isStopped) await Promise.all(publishing);
  report<PublisherReport>({ published, failures, durations });
}
Deno.exit(0);
