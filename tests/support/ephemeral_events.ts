import { type Listener, nextEphemeral, type WireEphemeral } from "./listeners.ts";
import { post } from "./publishing.ts";

/** Publishes a JSON value as an ephemeral event, which must be accepted. */
export async function publishEphemeral(
  url: string,
  channel: string,
  data: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const response = await post(url, channel, JSON.stringify(data), {
    "Content-Type": "application/json",
    "Weir-Ephemeral": "1",
    ...headers,
  });
  const text = await response.text();
  if (response.status !== 202) throw new Error(`${response.status} ${text}`);
}

/**
 * Publishes `data` until all `listeners` have received it: in another process delivery starts a
 * moment after the subscription, and a poller receives only during a poll. Returns what each one
 * received.
 */
export async function publishUntilDelivered(
  url: string,
  channel: string,
  data: unknown,
  listeners: readonly Listener[],
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly WireEphemeral[]> {
  let isDelivered = false;
  const delivered = Promise.all(listeners.map((listener) => nextOf(listener, channel, data)))
    .finally(() => isDelivered = true);
  delivered.catch(() => {}); // thrown below
  while (!isDelivered) {
    await publishEphemeral(url, channel, data, headers);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return await delivered;
}

/** Returns the first event with `data`; earlier events may still arrive, several times. */
async function nextOf(listener: Listener, channel: string, data: unknown): Promise<WireEphemeral> {
  while (true) {
    const event = await nextEphemeral(listener);
    const isOurs = event.channel === channel &&
      JSON.stringify(event.data) === JSON.stringify(data);
    if (isOurs) return event;
  }
}
