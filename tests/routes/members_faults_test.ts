import assert from "node:assert/strict";
import { MAX_MEMBERS } from "../../lib/presence/member_counts.ts";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { changesOf, namesIn } from "../support/members.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const CHANNEL = "room";
/** Longer than any lease. */
const OUTAGE_MS = 22_000;
/** The most members that one socket can be. */
const MAX_MEMBERSHIPS = 100;

const ignore = DENOKV_MISSING;

async function enter(url: string, ...members: readonly string[]): Promise<SocketClient> {
  const socket = await SocketClient.open(url);
  socket.send(
    ...members.map((member) => ({ op: "enter", ref: member, channel: CHANNEL, member })),
  );
  for (const _ of members) await socket.until("entered");
  return socket;
}

/** Does the same, and tries again while the store is still unreachable. */
async function enterEventually(url: string, member: string): Promise<SocketClient> {
  const socket = await SocketClient.open(url);
  await until(`${member} has joined`, async () => {
    socket.send({ op: "enter", ref: member, channel: CHANNEL, member });
    return (await socket.next()).op === "entered";
  });
  return socket;
}

Deno.test(
  "members stay while the store is unreachable for longer than a lease, and leases work afterwards",
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
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
    await denokv.start();
    await using _dan = await enterEventually(two.url, "dan");
    await using _cyd = await enterEventually(third.url, "cyd");
    await third.kill();
    // By now, any isolate that was wrongly taken for dead would have lost its members too.
    await until("the dead server's member has left", async () => {
      return !(await namesIn(one.url, CHANNEL)).includes("cyd");
    });
    for (const { url } of [one, two]) {
      assert.deepEqual(await namesIn(url, CHANNEL), ["ann", "bob", "dan"]);
    }
    const changes = ["enter ann", "enter bob", "enter dan", "enter cyd", "leave cyd"];
    assert.deepEqual(await changesOf(one.url, CHANNEL), changes);
  },
);

Deno.test("a server that stalled for long lets its members join again, and removes no others", {
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
    await until("the member of the stalled server has left", async () => {
      return !(await namesIn(other.url, CHANNEL)).includes("ann");
    });
  } finally {
    slow.signal("SIGCONT");
  }
  await until("she is back", async () => (await namesIn(slow.url, CHANNEL)).includes("ann"));
  await third.kill();
  // By now, any isolate that was wrongly taken for dead would have lost its members too.
  await until("the dead server's member has left", async () => {
    return !(await namesIn(slow.url, CHANNEL)).includes("cyd");
  });
  const changes = ["enter ann", "enter bob", "enter cyd", "leave ann", "enter ann", "leave cyd"];
  assert.deepEqual(await changesOf(slow.url, CHANNEL), changes);
  ann.send({ op: "leave", ref: 1, channel: CHANNEL, member: "ann" });
  await ann.until("left");
  assert.deepEqual(await namesIn(other.url, CHANNEL), ["bob"]);
});

Deno.test(
  "a server killed while it reaps another one leaves the rest to the next",
  {
    ignore,
  },
  async () => {
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using dead = await WeirServer.start({ env });
    const members = Array.from({ length: MAX_MEMBERS }, (_, i) => `member ${i}`);
    const sockets: SocketClient[] = [];
    for (let i = 0; i < MAX_MEMBERS; i += MAX_MEMBERSHIPS) {
      sockets.push(await enter(dead.url, ...members.slice(i, i + MAX_MEMBERSHIPS)));
    }
    await using reaper = await WeirServer.start({ env });
    await dead.kill();
    for (const socket of sockets) await socket.closed;
    using kv = await denokv.openKv();
    const rows = () => Array.fromAsync(kv.list({ prefix: ["member"] }));
    const first = (await rows())[0]?.key;
    assert.ok(first);
    // Watches one row only: by the time all rows are read, all members may have left.
    await until("some have left", async () => (await kv.get(first)).versionstamp === null);
    await reaper.kill();
    assert.ok((await rows()).length > 0, "it was killed too late to prove anything");
    await using next = await WeirServer.start({ env });
    await until("all have left", async () => (await namesIn(next.url, CHANNEL)).length === 0);
    const left = (await changesOf(next.url, CHANNEL)).filter((change) =>
      change.startsWith("leave")
    );
    assert.equal(left.length, MAX_MEMBERS);
  },
);
