// Measures files between two Chromium tabs, each figure as a ratio within one run. Needs root,
// iproute2 and iptables, and coturn for `delay`.
// `deno run -A bench/files.ts [speed] [loss] [delay] [memory]`
import type { SendFileOptions } from "../lib/client/rtc/api.ts";
import { Coturn, turnCredential } from "../tests/support/coturn.ts";
import { DelayedNetwork } from "../tests/support/delayed_network.ts";
import { FilePeers } from "../tests/support/file_peers.ts";
import { LossyNetwork } from "../tests/support/lossy_network.ts";
import { memoryOf } from "../tests/support/memory.ts";

const SIZE = 50_000_000;
const LARGE_SIZE = 1_000_000_000;
const ROUNDS = 5;
const LONG_PATH_ROUNDS = 3;
/** Takes about 20 s on the long path. */
const DELAYED_SIZE = 6_000_000;
/** Half of the long path's round trip, and the loss of each way. */
const LONG_PATH = { delayMs: 22.5, lossRate: 0.01 };
const wanted = Deno.args.length === 0 ? ["speed", "loss", "delay", "memory"] : Deno.args;

/**
 * `plain` sends the file over a reliable, unordered channel by messages of 64 KiB, with the same
 * window, and the receiver keeps it in memory. `bare` sends one message again and again, and the
 * receiver keeps nothing. Neither checks anything.
 */
type Way = "bare" | "plain" | "reliable" | "partial";

if (wanted.includes("speed")) await compare(0, ["plain", "reliable", "partial", "bare"]);
if (wanted.includes("loss")) await compare(0.05, ["reliable", "partial"]);
if (wanted.includes("delay")) await compareConnections([1, 4, 8]);
if (wanted.includes("memory")) await measureMemory();

/** Prints the speed of each way, by turns, and its ratio to the first one. */
async function compare(share: number, ways: readonly Way[]) {
  await using network = await LossyNetwork.create();
  await using peers = await FilePeers.open(network.program);
  await peers.connect(1);
  await network.lose(share);
  await peers.ann.call("prepare", SIZE);
  await peers.bob.call("receivePlain", SIZE);
  let sent = 0;
  const send = async (way: Way): Promise<{ ms: number; repairs: number }> => {
    if (way === "bare" || way === "plain") {
      return { ms: await peers.ann.call("sendPlain", way === "bare"), repairs: 0 };
    }
    const ms = await sendFile(peers, sent, { mode: way });
    const repairs = (await peers.ann.call("sent"))[sent++]?.rounds ?? 0;
    return { ms, repairs };
  };
  for (const way of ways) await send(way); // loads the code
  const ratios = new Map<Way, number[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    let first: number | undefined;
    for (const way of ways) {
      const { ms, repairs } = await send(way);
      const speed = SIZE / ms / 1_000;
      first ??= speed;
      ratios.get(way)?.push(speed / first);
      const ratio = (speed / first).toFixed(2);
      const what = `${way}: ${speed.toFixed(1)} MB/s, ${repairs} rounds of repair`;
      print(`${100 * share} % loss, ${what}, × ${ways[0]}: ${ratio}`);
    }
  }
  for (const [way, list] of ratios) {
    const median = list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
    print(`median of ${way} × ${ways[0]}: ${median.toFixed(2)}`);
  }
}

/** Prints the speed over a long path with each number of connections, and its ratio to the first. */
async function compareConnections(counts: readonly number[]) {
  const secret = crypto.randomUUID();
  await using coturn = await Coturn.start({ secret, allowsLoopback: true });
  await using network = new DelayedNetwork({ target: coturn.port, ...LONG_PATH });
  await using peers = await FilePeers.open();
  const urls = `turn:127.0.0.1:${network.port}?transport=udp`;
  const expiry = Math.floor(Date.now() / 1_000) + 3_600;
  // Each has a quota of its own.
  for (const [user, peer] of Object.entries({ ann: peers.ann, bob: peers.bob })) {
    const iceServers = [{ urls, ...await turnCredential(secret, expiry, user) }];
    await peer.call("configure", { iceServers, iceTransportPolicy: "relay" });
  }
  await peers.connect(Math.max(...counts));
  await peers.ann.call("prepare", DELAYED_SIZE);
  let sent = 0;
  for (let run = 0; run < LONG_PATH_ROUNDS; run++) {
    let first: number | undefined;
    for (const connections of counts) {
      const ms = await sendFile(peers, sent++, { connections });
      const speed = DELAYED_SIZE / ms / 1_000;
      first ??= speed;
      print(`long path, ${connections} connections: ${speed.toFixed(2)} MB/s`);
      print(`  × ${counts[0]}: ${(speed / first).toFixed(2)}`);
    }
  }
}

/** Sends ann's prepared file as her nth, and returns the milliseconds until it was complete. */
async function sendFile(peers: FilePeers, n: number, options: SendFileOptions) {
  const start = performance.now();
  await peers.ann.call("sendPrepared", options);
  await peers.ann.reaches("sent", n, "done");
  const ms = performance.now() - start;
  await peers.bob.call("cancelReceived", n);
  return ms;
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
