import assert from "node:assert/strict";
import type { ConnectionState, ConnectOptions, Weir } from "../../lib/client/api.ts";
import { WeirError } from "../../lib/client/client.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { answerOf } from "./fault_proxy.ts";
import { fastPlatform } from "./client_platform.ts";
import { until } from "./until.ts";

/** How many minutes a client keeps trying against a permanent fault, and how much faster they pass. */
export const MINUTES = 10;
export const FACTOR = 400;
/**
 * How often it may try each transport in that time. With `random()` at 0.5, full jitter tries at
 * most every 15 s, about 45 times.
 */
export const MAX_TRIES = 55;

/** Returns the result of `work`, which must settle soon. */
async function soon<T>(work: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = () => void (isSettled = true);
  work.then(settled, settled);
  await until("it is settled", () => isSettled);
  return await work;
}

/** Returns the error that ends a subscription, or undefined if it was closed. */
export async function endOf(weir: Weir, channel: string): Promise<WeirError | undefined> {
  try {
    await soon(Array.fromAsync(weir.subscribe(channel, { onGap: "throw" })));
    return undefined;
  } catch (cause) {
    return typed(cause);
  }
}

/** Checks that `cause` is a WeirError with a code and a detail in words. */
export function typed(cause: unknown): WeirError {
  assert.ok(cause instanceof WeirError, `no WeirError: ${Deno.inspect(cause)}`);
  assert.match(cause.code, /^[a-z_]+$/);
  assert.match(cause.detail, /^\S+ \S+ \S+/, cause.code); // words, not a code
  return cause;
}

/** Returns the error that `work` rejects with. */
export async function refusal(work: Promise<unknown>): Promise<WeirError> {
  try {
    await soon(work);
  } catch (cause) {
    return typed(cause);
  }
  throw new Error("it was not refused");
}

/** Lets a client try to subscribe for {@link MINUTES}. Returns its last error and all its states. */
export async function endure(
  url: string,
  options: ConnectOptions = {},
): Promise<{ readonly error: WeirError; readonly states: readonly ConnectionState[] }> {
  const { platform, elapsed } = fastPlatform(FACTOR);
  const states: ConnectionState[] = [];
  await using weir = makeClient(url, options, platform);
  weir.state.subscribe((state) => states.push(state));
  const end = endOf(weir, "orders");
  await until(`${MINUTES} minutes have passed`, () => elapsed() > MINUTES * 60_000);
  const { value } = weir.state;
  const complaint = states.findLast((state) => "error" in state);
  await weir.close();
  assert.equal(await end, undefined, "it gave up early");
  assert.notEqual(value.status, "closed");
  assert.ok(complaint !== undefined && "error" in complaint, Deno.inspect(states.slice(-5)));
  return { error: typed(complaint.error), states };
}

/** Answers of servers that are not Weir. */
export const STRANGERS: Readonly<Record<string, string>> = {
  "a captive portal": answerOf("200 OK", "text/html", "<h1>Welcome to this hotel</h1>"),
  "another API": answerOf("404 Not Found", "application/json", `{"error":"no such thing"}`),
  "a JSON that is not a page": answerOf("200 OK", "application/json", `{"events":17}`),
  "an empty JSON": answerOf("200 OK", "application/json", "{}"),
  "a JSON null": answerOf("200 OK", "application/json", "null"),
  "events that are not events": answerOf(
    "200 OK",
    "application/json",
    `{"events":[null,{}],"cursor":1}`,
  ),
  "a proxy whose server is down": answerOf("502 Bad Gateway", "text/html", "<h1>Bad gateway</h1>"),
  "a stream of something else": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
    "Connection: close\r\n\r\nevent: weir.gap\ndata: 7\n\ndata: <p>\n\n",
  "half an answer":
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{",
  "no HTTP": "SSH-2.0-OpenSSH_9.6\r\n",
  "silence": "",
  "an empty answer": "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
  "a wrong upgrade": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
  "a redirect to itself": "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n" +
    "Connection: close\r\n\r\n",
};
