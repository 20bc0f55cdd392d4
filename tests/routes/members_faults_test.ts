import assert from "node:assert/strict";
import { MAX_MEMBERS } from "../../lib/presence/member_counts.ts";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { changesOf, namesIn } from "../support/members.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const CHANNEL = "room";
/** Longer than any lease, in ms. */
const AWAY = 22_000;
/** Of one socket, at the most. */
const MEMBERSHIPS = 100;

const ignore = DENOKV_MISSING;

async function enter(url: string, ...members: readonly string[]): Promise<SocketClient> {
  const socket = await SocketClient.open(url);
  socket.send(
    ...members.map((member) => ({ op: "enter", ref: member, channel: CHANNEL, member })),
  );
  for (const _ of members) await socket.until("entered");
  return socket;
}

/** The same, where a store that was away may have it tried again. */
async function enterAtLast(url: string, member: string): Promise<SocketClient> {
  const socket = await SocketClient.open(url);
  await until(`${member} is let in`, async () => {
    socket.send({ op: "enter", ref: member, channel: CHANNEL, member });
    return (await socket.next()).op === "entered";
  });
  return socket;
}

Deno.test(
  "who is in stays where the store is away for longer than a lease, and leases work again",
  {
    ignore,
  },
  async () => {
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using one = await WeirServer.start({ env });
    await using two = await WeirServer.start({ env });
    await using third = await WeirServer.start({ env });
    await using _ann = await enter(one.url, "ann");
    await using _bob = await enter(two.url, "bob");
    await denokv.kill();
    await new Promise((resolve) => setTimeout(resolve, AWAY));
    await denokv.start();
    await using _dan = await enterAtLast(two.url, "dan");
    await using _cyd = await enterAtLast(third.url, "cyd");
    await third.kill();
    // Whoever were to be found dead would be by then.
    await until("the dead one's member has left", async () => {
      return !(await namesIn(one.url, CHANNEL)).includes("cyd");
    });
    for (const { url } of [one, two]) {
      assert.deepEqual(await namesIn(url, CHANNEL), ["ann", "bob", "dan"]);
    }
    const changes = ["enter ann", "enter bob", "enter dan", "enter cyd", "leave cyd"];
    assert.deepEqual(await changesOf(one.url, CHANNEL), changes);
  },
);

Deno.test("a server that was held up for long takes its members back, and throws nobody out", {
  ignore,
}, async () => {
  await using denokv = await Denokv.start();
  const env = { WEIR_KV: denokv.url };
  await using slow = await WeirServer.start({ env });
  await using other = await WeirServer.start({ env });
  await using third = await WeirServer.start({ env });
  await using ann = await enter(slow.url, "ann");
  await using _bob = await enter(other.url, "bob");
  await using _cyd = await enter(third.url, "cyd");
  slow.signal("SIGSTOP");
  try {
    await until("the member of who is held up has left", async () => {
      return !(await namesIn(other.url, CHANNEL)).includes("ann");
    });
  } finally {
    slow.signal("SIGCONT");
  }
  await until("she is back", async () => (await namesIn(slow.url, CHANNEL)).includes("ann"));
  await third.kill();
  // Whoever else were to be found dead would be by then.
  await until("the dead one's member has left", async () => {
    return !(await namesIn(slow.url, CHANNEL)).includes("cyd");
  });
  const changes = ["enter ann", "enter bob", "enter cyd", "leave ann", "enter ann", "leave cyd"];
  assert.deepEqual(await changesOf(slow.url, CHANNEL), changes);
  ann.send({ op: "leave", ref: 1, channel: CHANNEL, member: "ann" });
  await ann.until("left");
  assert.deepEqual(await namesIn(other.url, CHANNEL), ["bob"]);
});

Deno.test(
  "a server killed as it takes the members of another one out leaves the rest to the next",
  {
    ignore,
  },
  async () => {
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using dead = await WeirServer.start({ env });
    const members = Array.from({ length: MAX_MEMBERS }, (_, i) => `member ${i}`);
    const sockets: SocketClient[] = [];
    for (let i = 0; i < MAX_MEMBERS; i += MEMBERSHIPS) {
      sockets.push(await enter(dead.url, ...members.slice(i, i + MEMBERSHIPS)));
    }
    await using worker = await WeirServer.start({ env });
    await dead.kill();
    for (const socket of sockets) await socket.closed;
    using kv = await denokv.openKv();
    const rows = () => Array.fromAsync(kv.list({ prefix: ["member"] }));
    const first = (await rows())[0]?.key;
    assert.ok(first);
    // Of one row, since by the time that all are read all may have left.
    await until("some have left", async () => (await kv.get(first)).versionstamp === null);
    await worker.kill();
    assert.ok((await rows()).length > 0, "it was killed too late to tell anything");
    await using next = await WeirServer.start({ env });
    await until("all have left", async () => (await namesIn(next.url, CHANNEL)).length === 0);
    const left = (await changesOf(next.url, CHANNEL)).filter((change) =>
      change.startsWith("leave")
    );
    assert.equal(left.length, MAX_MEMBERS);
  },
);
