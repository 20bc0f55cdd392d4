// Measures files between two Chromium tabs, each figure as a ratio within one run. Needs root,
// iproute2 and iptables. `deno run -A bench/files.ts [speed] [loss] [memory]`
import { FilePeers } from "../tests/support/file_peers.ts";
import { LossyNetwork } from "../tests/support/lossy_network.ts";
import { memoryOf } from "../tests/support/memory.ts";

const SIZE = 50_000_000;
const LARGE_SIZE = 1_000_000_000;
const RUNS = 3;
const wanted = Deno.args.length === 0 ? ["speed", "loss", "memory"] : Deno.args;

if (wanted.includes("speed")) await compare(0, ["plain", "reliable", "partial"]);
if (wanted.includes("loss")) await compare(0.05, ["reliable", "partial"]);
if (wanted.includes("memory")) await measureMemory();

/** Prints the speed of each way, by turns, and its ratio to the first one. */
async function compare(share: number, ways: readonly ("plain" | "reliable" | "partial")[]) {
  await using network = await LossyNetwork.create();
  await using peers = await FilePeers.open(network.program);
  await peers.connect(1);
  await network.lose(share);
  let sent = 0;
  await peers.bob.call("receivePlain", SIZE);
  for (let run = 0; run < RUNS; run++) {
    let first: number | undefined;
    for (const way of ways) {
      let rounds = 0;
      let ms: number;
      if (way === "plain") ms = await peers.ann.call("sendPlain", SIZE);
      else {
        await peers.ann.call("prepare", SIZE);
        const start = performance.now();
        await peers.ann.call("sendPrepared", { mode: way });
        await peers.ann.reaches("sent", sent, "done");
        ms = performance.now() - start;
        rounds = (await peers.ann.call("sent"))[sent]?.rounds ?? 0;
        await peers.bob.call("cancelReceived", sent++);
      }
      const speed = SIZE / ms / 1_000;
      first ??= speed;
      print(`${100 * share} % loss, ${way}: ${speed.toFixed(1)} MB/s, ${rounds} rounds`);
      print(`  × ${ways[0]}: ${(speed / first).toFixed(2)}`);
    }
  }
}

/** Prints by how much each tab's resident memory grows during a transfer. */
async function measureMemory() {
  await using peers = await FilePeers.open();
  await peers.connect(1);
  // The code, the file's blocks and one transfer before count as idle.
  await peers.ann.call("send", SIZE, {}, false);
  await peers.ann.reaches("sent", 0, "done");
  const pids = await peers.chromium.tabProcesses();
  const sizes = async () => await Promise.all(pids.map((pid) => memoryOf(pid)));
  await peers.ann.call("prepare", LARGE_SIZE);
  for (const { page } of [peers.ann, peers.bob]) await page.requestGC();
  const idle = await sizes();
  const most = [...idle];
  await peers.ann.call("sendPrepared");
  while ((await peers.ann.call("sent"))[1]?.status !== "done") {
    for (const [i, size] of (await sizes()).entries()) most[i] = Math.max(most[i] ?? 0, size);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const [i, pid] of pids.entries()) {
    const growth = ((most[i] ?? 0) - (idle[i] ?? 0)) / 2 ** 20;
    print(`tab ${pid}: ${growth.toFixed(0)} MiB above idle`);
  }
}

function print(line: string): void {
  // deno-lint-ignore no-console
  console.log(line);
}
