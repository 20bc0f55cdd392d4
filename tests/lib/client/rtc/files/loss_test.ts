import assert from "node:assert/strict";
import { CHROMIUM_MISSING } from "../../../../support/chromium.ts";
import { FilePeers } from "../../../../support/file_peers.ts";
import { LossyNetwork, NAMESPACES_MISSING } from "../../../../support/lossy_network.ts";

const ignore = CHROMIUM_MISSING || NAMESPACES_MISSING;
const SIZE = 20_000_000;

for (const share of [0, 0.01, 0.05]) {
  Deno.test(`files arrive bit-exact at ${100 * share} % loss, both ways of sending`, {
    ignore,
  }, async () => {
    await using network = await LossyNetwork.create();
    await using peers = await FilePeers.open(network.program);
    await peers.connect(1);
    await network.lose(share);
    for (const [n, mode] of (["reliable", "partial"] as const).entries()) {
      const hash = await peers.ann.call("send", SIZE, { mode });
      await peers.ann.reaches("sent", n, "done");
      assert.equal(await peers.bob.call("receivedHashes", n), hash);
      const { rounds = 0, lost = 0 } = (await peers.ann.call("sent"))[n] ?? {};
      assert.ok(mode === "partial" ? rounds <= 3 : rounds === 0, `${rounds} rounds of repair`);
      if (mode === "reliable") assert.equal(lost, 0);
    }
  });
}

Deno.test("a transfer survives a network that loses everything for a while", {
  ignore,
}, async () => {
  await using network = await LossyNetwork.create();
  await using peers = await FilePeers.open(network.program);
  await peers.connect(1);
  const hash = await peers.ann.call("send", SIZE);
  await peers.bob.hasBytes(SIZE / 4);
  await network.lose(1);
  await peers.ann.reaches("sent", 0, "waiting");
  await network.lose(0);
  await peers.ann.reaches("sent", 0, "done");
  assert.equal(await peers.bob.call("receivedHashes", 0), hash);
});
