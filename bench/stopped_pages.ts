// deno-lint-ignore-file no-console
/**
 * Measures what a page takes in the server that has stopped reading: Chromium opens WebTransport
 * connections, subscribes, and reads nothing while 100 MB pass. Prints the growth of the server's
 * resident memory for each connection after the first one: that one brings the cache of events that
 * all share.
 * `deno run -A bench/stopped_pages.ts [connections]`
 */
import { Chromium } from "../tests/support/chromium.ts";
import { startWeir } from "./process.ts";
import { residentKb } from "./usage.ts";
import { channelName } from "./wire.ts";
import { webTransportAddress } from "./webtransport_subscriber.ts";

const TOTAL_BYTES = 100_000_000;
const EVENT_BYTES = 50_000;
const IN_FLIGHT = 4;
const SETTLE_MS = 3_000;

const connections = Number(Deno.args[0] ?? 50);
const [one, stopped] = [await measure(1), await measure(connections)];
console.log(`1 stopped connection: ${one.before} KB, ${one.after} KB after 100 MB`);
console.log(`${connections} stopped connections: ${stopped.before} KB, ${stopped.after} KB`);
const growth = stopped.after - stopped.before - (one.after - one.before);
console.log(`${Math.round(growth / (connections - 1))} KB for each further one while 100 MB pass`);
Deno.exit(0);

async function measure(
  count: number,
): Promise<{ readonly before: number; readonly after: number }> {
  const folder = await Deno.makeTempDir({ prefix: "weir-bench-" });
  try {
    await using server = await startWeir(`${folder}/weir.sqlite`);
    await using chromium = await Chromium.open();
    await chromium.page.goto(`http://${server.host}/docs/`);
    const { url, hashes } = await webTransportAddress(server.host);
    await chromium.page.evaluate(async ([url, values, count, channel]) => {
      const serverCertificateHashes = values.map((value) => ({
        algorithm: "sha-256",
        value: Uint8Array.from(value),
      }));
      const kept: unknown[] = [];
      for (let i = 0; i < count; i++) {
        const connection = new WebTransport(url, { serverCertificateHashes });
        await connection.ready;
        const { readable, writable } = await connection.createBidirectionalStream();
        const line = JSON.stringify({ op: "subscribe", ref: 1, channel });
        await writable.getWriter().write(new TextEncoder().encode(`${line}\n`));
        // The event stream has come: the server has answered.
        const { value } = await connection.incomingUnidirectionalStreams.getReader().read();
        kept.push(connection, readable, writable, value);
      }
      Object.assign(globalThis, { kept });
    }, [url, hashes.map(({ value }) => [...value as Uint8Array]), count, channelName(0)] as const);
    await pause(SETTLE_MS);
    const before = residentKb([server.pid]);
    await publish(server.host);
    await pause(SETTLE_MS);
    return { before, after: residentKb([server.pid]) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function publish(host: string): Promise<void> {
  const body = JSON.stringify("x".repeat(EVENT_BYTES));
  let left = TOTAL_BYTES / EVENT_BYTES;
  const work = async () => {
    while (left-- > 0) {
      const response = await fetch(`http://${host}/v1/channels/${channelName(0)}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      });
      if (!response.ok) throw new Error(await response.text());
      await response.body?.cancel();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
