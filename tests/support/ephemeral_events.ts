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
 * Sends `data` until all `listeners` have heard it: one in another process begins to hear a moment
 * after it is subscribed, and one that polls hears only while it does. What each was told of it.
 */
export async function publishUntilDelivered(
  url: string,
  channel: string,
  data: unknown,
  listeners: readonly Listener[],
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly WireEphemeral[]> {
  let isHeard = false;
  const heard = Promise.all(listeners.map((listener) => nextOf(listener, channel, data)))
    .finally(() => isHeard = true);
  heard.catch(() => {}); // thrown below
  while (!isHeard) {
    await publishEphemeral(url, channel, data, headers);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return await heard;
}

/** What was sent before may still be on its way, more than once. */
async function nextOf(listener: Listener, channel: string, data: unknown): Promise<WireEphemeral> {
  while (true) {
    const note = await nextEphemeral(listener);
    if (note.channel === channel && JSON.stringify(note.data) === JSON.stringify(data)) return note;
  }
}
