// Publishes a JSON value: node producer.mjs orders '{"id": 7}'
// WEIR_URL: http://127.0.0.1:8000 if not set. WEIR_TOKEN: a token or an API key, if Weir has keys.
import { randomUUID } from "node:crypto";
import { argv, env, stdout } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 8;
/** Statuses after which a retry can succeed. */
const RETRYABLE = [408, 429, 500, 502, 503, 504, 507];

/** Publishes an event. Resolves with its channel, offset and id once it is durable. */
export async function publish(channel, data) {
  // The same for all attempts, so that the event is stored once.
  const id = randomUUID();
  for (let attempt = 1;; attempt++) {
    const answer = await send(channel, data, id).catch((cause) => cause);
    if (answer.ok) return await answer.json();
    if (attempt === ATTEMPTS || (answer.status && !RETRYABLE.includes(answer.status))) {
      throw answer instanceof Error ? answer : new Error(await answer.text());
    }
    await answer.body?.cancel();
    await sleep(1_000 * Number(answer.headers?.get("retry-after") ?? 0) + backoff(attempt));
  }
}

function send(channel, data, id) {
  const url = env.WEIR_URL ?? "http://127.0.0.1:8000";
  return fetch(`${url}/v1/channels/${encodeURIComponent(channel)}/events`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": id,
      ...env.WEIR_TOKEN && { Authorization: `Bearer ${env.WEIR_TOKEN}` },
    },
    body: JSON.stringify(data),
    signal: AbortSignal.timeout(30_000),
  });
}

/** Returns a random delay in ms that grows with each attempt, so that producers spread out. */
function backoff(attempt) {
  return Math.random() * Math.min(30_000, 200 * 2 ** attempt);
}

const [channel, data] = argv.slice(2);
if (data === undefined) throw new Error("usage: node producer.mjs CHANNEL JSON");
stdout.write(`${JSON.stringify(await publish(channel, JSON.parse(data)))}\n`);
