import assert from "node:assert/strict";
import { type Cluster, type ClusterKind, clusterTest } from "../support/clusters.ts";
import { enter } from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { READERS } from "../support/readers.ts";
import { inboxName, signalOf } from "../support/signals.ts";
import { SocketClient } from "../support/socket_client.ts";

const SENDERS = ["ann", "cyd", "dan"] as const;
const SIGNALS = 30;
/** After so many signals the reader continues by another connection. */
const PER_CONNECTION = 8;

/** An inbox has every signal once, in the order of each sender. */
export function signalsContract(kind: ClusterKind) {
  const test = clusterTest(kind);

  for (const transport of Object.keys(READERS)) {
    const behaviour =
      `an inbox gives every signal once, in the order of its sender, over ${transport}`;
    test(behaviour, (cluster) => exchange(cluster, transport));
  }
}

async function exchange({ publishUrl, readUrl }: Cluster, transport: string): Promise<void> {
  const open = READERS[transport] ?? assert.fail(`no transport ${transport}`);
  const channel = newChannel();
  await using bob = await SocketClient.open(readUrl);
  await enter(bob, channel, { member: "bob", session: "b1" });
  const sending = Promise.all(SENDERS.map(async (member, i) => {
    await using socket = await SocketClient.open(i === 0 ? readUrl : publishUrl);
    await enter(socket, channel, { member, session: "s" });
    const signal = { op: "signal", channel, member, session: "s", to: "bob", toSession: "b1" };
    // Some are sent without waiting for the answers before them.
    for (let n = 1; n <= SIGNALS; n += 3) {
      socket.send(...[n, n + 1, n + 2].map((data) => ({ ...signal, ref: data, data })));
      for (const ref of [n, n + 1, n + 2]) {
        assert.deepEqual(await socket.until("ack"), { op: "ack", ref, sessions: ["b1"] });
      }
    }
  }));
  const seen = new Map<string, unknown[]>(SENDERS.map((member) => [member, []]));
  let cursor = "earliest";
  for (let count = 0; count < SENDERS.length * SIGNALS;) {
    await using reader = await open(readUrl, [inboxName(channel, "bob", "b1")], cursor);
    for (let i = 0; i < PER_CONNECTION && count < SENDERS.length * SIGNALS; i++, count++) {
      const { event, gap } = await reader.next();
      if (event === undefined) throw new Error(`a gap: ${JSON.stringify(gap)}`);
      const [from, , data] = signalOf(event);
      seen.get(String(from))?.push(data);
    }
    cursor = reader.cursor;
  }
  await sending;
  const all = Array.from({ length: SIGNALS }, (_, i) => i + 1);
  for (const member of SENDERS) assert.deepEqual(seen.get(member), all, member);
}
