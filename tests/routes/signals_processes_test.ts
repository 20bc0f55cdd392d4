import assert from "node:assert/strict";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { enter } from "../support/members.ts";
import { READERS } from "../support/readers.ts";
import { inboxName, signalOf } from "../support/signals.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";

const CHANNEL = "room";
const SIGNALS = 60;
/** The sender's process is killed while this signal is under way. */
const KILLED_AT = 20;
/** The receiver's connections are cut after these signals. */
const CUT_AFTER: readonly number[] = [5, 18, 22, 45];
/** The same over UDP, where a client notices a cut only by its idle timeout of some seconds. */
const CUT_UDP_AFTER: readonly number[] = [18];

/** Sends numbers as ann, each again until it is answered. */
class Sender implements AsyncDisposable {
  #url: string;
  #socket: SocketClient | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** Where to connect from now on. */
  moveTo(url: string): void {
    this.#url = url;
  }

  async send(data: number): Promise<void> {
    while (true) {
      try {
        this.#socket ??= await this.#connect();
        const signal = { op: "signal", ref: data, channel: CHANNEL, member: "ann", session: "a1" };
        this.#socket.send({ ...signal, to: "bob", toSession: "b1", data });
        assert.equal((await this.#socket.until("ack"))["ref"], data);
        return;
      } catch {
        await this[Symbol.asyncDispose](); // and again by another socket
      }
    }
  }

  async #connect(): Promise<SocketClient> {
    const socket = await SocketClient.open(this.#url);
    await enter(socket, CHANNEL, { member: "ann", session: "a1" });
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket?.[Symbol.asyncDispose]();
    this.#socket = undefined;
  }
}

for (const transport of Object.keys(READERS)) {
  const behaviour =
    `no signal is missing and none out of order when the sender's process dies and the receiver's connection breaks, over ${transport}`;
  Deno.test(behaviour, { ignore: DENOKV_MISSING }, async () => {
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using first = await WeirServer.start({ env });
    await using second = await WeirServer.start({ env });
    await using proxy = FaultProxy.withUdp(second.port);
    const cuts = transport === "WebTransport" ? CUT_UDP_AFTER : CUT_AFTER;
    await using bob = await SocketClient.open(second.url);
    await enter(bob, CHANNEL, { member: "bob", session: "b1" });
    await using sender = new Sender(first.url);
    const sending = (async () => {
      for (let data = 1; data <= SIGNALS; data++) {
        const sent = sender.send(data);
        if (data === KILLED_AT) {
          sender.moveTo(second.url);
          await first.kill("SIGKILL");
        }
        await sent;
      }
    })();
    const open = READERS[transport] ?? assert.fail(`no transport ${transport}`);
    const seen: number[] = [];
    let cursor = "earliest";
    while (seen.at(-1) !== SIGNALS) {
      await using reader = await open(proxy.url, [inboxName(CHANNEL, "bob", "b1")], cursor);
      while (seen.at(-1) !== SIGNALS) {
        const item = await reader.next().catch(() => undefined);
        if (item === undefined) break; // the connection is cut
        if (item.event === undefined) throw new Error(`a gap: ${JSON.stringify(item.gap)}`);
        cursor = item.cursor;
        const [from, session, data] = signalOf(item.event);
        assert.deepEqual([from, session], ["ann", "a1"]);
        // A signal whose answer was lost is sent again, and may arrive twice.
        if (data !== seen.at(-1)) seen.push(Number(data));
        if (cuts.includes(Number(data))) proxy.cut();
      }
    }
    await sending;
    assert.deepEqual(seen, Array.from({ length: SIGNALS }, (_, i) => i + 1));
  });
}
