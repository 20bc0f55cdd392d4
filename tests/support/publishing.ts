/** An acknowledged event. */
export interface Ack {
  readonly channel: string;
  readonly offset: string;
  readonly id: string;
  readonly duplicate?: true;
}

/** Publishes a body as one event. */
export async function post(
  url: string,
  channel: string,
  body: BodyInit,
  headers: Record<string, string> = { "Content-Type": "application/json" },
): Promise<Response> {
  return await fetch(`${url}/v1/channels/${encodeURIComponent(channel)}/events`, {
    method: "POST",
    body,
    headers,
  });
}

/** Publishes a JSON value as one event. @throws {Error} if it is refused. */
export async function publish(
  url: string,
  channel: string,
  data: unknown,
  headers: Record<string, string> = {},
): Promise<Ack> {
  const response = await post(url, channel, JSON.stringify(data), {
    "Content-Type": "application/json",
    ...headers,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text);
}

/** Publishes 1, 2, 3 … `count`, one at a time. */
export async function publishNumbers(
  url: string,
  channel: string,
  count: number,
): Promise<readonly Ack[]> {
  const acks: Ack[] = [];
  for (let i = 1; i <= count; i++) acks.push(await publish(url, channel, i));
  return acks;
}

/** Returns the name of a channel that no other test uses. */
export function newChannel(): string {
  return `test:${crypto.randomUUID()}`;
}
