import assert from "node:assert/strict";
import { CHROMIUM_MISSING } from "../../../../support/chromium.ts";
import { FilePeers } from "../../../../support/file_peers.ts";

const MB = 1_000_000;

function filesTest(name: string, run: (peers: FilePeers) => Promise<void>): void {
  Deno.test(name, { ignore: CHROMIUM_MISSING }, async () => {
    await using peers = await FilePeers.open();
    await run(peers);
    assert.deepEqual(peers.chromium.errors, []);
  });
}

for (const mode of ["reliable", "partial"] as const) {
  filesTest(`files of 0, 1 and 50 MB go both ways at once, bit-exact, ${mode}`, async (peers) => {
    await peers.connect();
    const sizes = [0, 1, 50 * MB];
    const hashes = await Promise.all(
      [peers.ann, peers.bob].map((peer) =>
        Promise.all(sizes.map((size) => peer.call("send", size, { mode, connections: 2 })))
      ),
    );
    for (const [n] of sizes.entries()) {
      await peers.ann.reaches("sent", n, "done");
      await peers.bob.reaches("sent", n, "done");
    }
    for (const [i, receiver] of [peers.bob, peers.ann].entries()) {
      const got = await Promise.all(sizes.map((_, n) => receiver.call("receivedHashes", n)));
      assert.deepEqual(got.toSorted(), hashes[i]?.toSorted());
    }
  });
}

filesTest("a file whose connection is cut twice arrives bit-exact", async (peers) => {
  await peers.connect();
  const hash = await peers.ann.call("send", 40 * MB);
  for (const bytes of [5 * MB, 20 * MB]) {
    await peers.bob.hasBytes(bytes);
    await peers.ann.call("hangUp");
    await peers.bob.call("hangUp");
    await peers.ann.reaches("sent", 0, "waiting");
    await peers.connect();
  }
  await peers.ann.reaches("sent", 0, "done");
  assert.equal(await peers.bob.call("receivedHashes", 0), hash);
});

filesTest("a file continues after its receiver reloads, with what was stored", async (peers) => {
  await peers.connect();
  const hash = await peers.ann.call("send", 60 * MB);
  await peers.bob.hasBytes(30 * MB);
  await peers.ann.call("pause", 0);
  await peers.bob.reaches("received", 0, "paused");
  await peers.bob.reload();
  await peers.connect();
  await peers.bob.reaches("received", 0, "paused");
  const [state] = await peers.bob.call("received");
  assert.ok((state?.bytes ?? 0) > 10 * MB, `${state?.bytes} bytes were kept`);
  await peers.ann.call("resume", 0);
  await peers.ann.reaches("sent", 0, "done");
  assert.equal(await peers.bob.call("receivedHashes", 0), hash);
  assert.equal(await peers.bob.call("storedFiles"), 1);
  await peers.bob.call("cancelReceived", 0);
  await peers.bob.storesNoFiles();
});

filesTest("a cancel of the receiver ends the transfer at both ends", async (peers) => {
  await peers.connect();
  await peers.ann.call("send", 50 * MB, {}, false);
  await peers.bob.hasBytes(5 * MB);
  await peers.bob.call("cancelReceived", 0);
  await peers.ann.reaches("sent", 0, "cancelled");
  await peers.bob.reaches("received", 0, "cancelled");
  await peers.bob.storesNoFiles();
});

filesTest("a file of 320 MB arrives bit-exact", async (peers) => {
  await peers.connect();
  const hash = await peers.ann.call("send", 320 * MB);
  await peers.ann.reaches("sent", 0, "done");
  assert.equal(await peers.bob.call("receivedHashes", 0), hash);
});
