import assert from "node:assert/strict";
import { type Answer, call } from "./calls.ts";
import { bearer } from "./guarded.ts";
import { LocalServer } from "./local_server.ts";
import { MESSAGE_CLIENTS, type MessageClient } from "./message_clients.ts";
import { newChannel } from "./publishing.ts";
import { readUrl } from "./readers.ts";
import { SocketClient } from "./socket_client.ts";
import { SseClient } from "./sse_client.ts";
import { until } from "./until.ts";

/** Open connections of every kind that use one credential. */
export interface Connections extends AsyncDisposable {
  readonly stream: SseClient;
  readonly socket: SocketClient;
  /** Undefined if the server is in another process. */
  readonly webTransport: MessageClient | undefined;
  /** When each ended because of the revocation, in ms of `performance.now()`. */
  revoked(): Promise<readonly number[]>;
  /** Checks with an event of `publisher` that all of them are still open. */
  assertOpen(publisher: string): Promise<void>;
}

/**
 * Opens a stream, a socket and a long poll with `token`, and a WebTransport connection if the server
 * is in this process.
 *
 * @param isWaiting tells whether the long poll has arrived, if the test can see that.
 */
export async function connectAll(
  url: string,
  token: string,
  isWaiting?: () => boolean,
): Promise<Connections> {
  const channel = newChannel();
  const stream = await SseClient.open(readUrl(url, [channel]), { ...bearer(token) });
  const socket = await SocketClient.open(url, { token });
  socket.send({ op: "subscribe", ref: 1, channel });
  await socket.until("subscribed");
  const openWebTransport = MESSAGE_CLIENTS["WebTransport connection"];
  const webTransport = LocalServer.at(url) === undefined
    ? undefined
    : await openWebTransport?.(url, { token });
  webTransport?.send({ op: "subscribe", ref: 1, channel });
  await webTransport?.until("subscribed");
  const abort = new AbortController();
  const poll: Promise<Answer | undefined> = call(url, readUrl("", [channel], { wait: "60" }), {
    headers: bearer(token),
    signal: abort.signal,
  }).catch((cause) => {
    if (abort.signal.aborted) return undefined;
    throw cause;
  });
  if (isWaiting !== undefined) await until("the long poll has arrived", isWaiting);
  return {
    stream,
    socket,
    webTransport,
    async revoked() {
      const ofStream = async () => {
        const { event, data } = await stream.next();
        assert.deepEqual([event, JSON.parse(data).reason], ["weir.goodbye", "revoked"]);
        await stream.ended();
        return performance.now();
      };
      const ofSocket = async () => {
        assert.equal((await socket.until("goodbye"))["reason"], "revoked");
        assert.equal((await socket.closed).code, 4401);
        return performance.now();
      };
      const ofPoll = async () => {
        const answer = await poll;
        assert.deepEqual([answer?.status, answer?.code], [401, "token_revoked"], answer?.text);
        return performance.now();
      };
      const ofWebTransport = async () => {
        if (webTransport === undefined) return performance.now();
        assert.equal((await webTransport.until("goodbye"))["reason"], "revoked");
        const at = performance.now(); // nothing else follows; the client has 500 ms to close
        await webTransport.closedWith(4401);
        return at;
      };
      return await Promise.all([ofStream(), ofSocket(), ofWebTransport(), ofPoll()]);
    },
    async assertOpen(publisher) {
      const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
      const sent = await call(url, path, {
        method: "POST",
        headers: { ...bearer(publisher), "Content-Type": "application/json" },
        body: `"open"`,
      });
      assert.equal(sent.status, 201, sent.text);
      assert.equal((await stream.next()).data, `"open"`);
      assert.equal((await socket.until("event"))["data"], "open");
      if (webTransport !== undefined) {
        assert.equal((await webTransport.until("event"))["data"], "open");
      }
      assert.equal((await poll)?.status, 200);
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await poll;
      await stream[Symbol.asyncDispose]();
      await socket[Symbol.asyncDispose]();
      await webTransport?.[Symbol.asyncDispose]();
    },
  };
}
