import assert from "node:assert/strict";
import { freshFetch } from "../support/fresh_fetch.ts";
import { post, publish } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { SMALL_DISKS_MISSING, WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;

Deno.test("a full disk is answered with 507, acknowledged events stay, and reads still work", async () => {
  await using server = await WeirServer.start({ maxFileBlocks: 1_200 });
  const url = `${server.url}/v1/channels/full/events`;
  let kept = 0;
  let refused: Response | undefined;
  for (let tries = 0; tries < 20 && refused === undefined; tries++) {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: "x".repeat(90_000),
    });
    if (response.status === 201) {
      kept++;
      await response.body?.cancel();
    } else refused = response;
  }
  assert.equal(refused?.status, 507);
  assert.ok(refused.headers.has("Retry-After"));
  const { code } = await refused.json() as { code: string };
  assert.equal(code, "storage_full");
  assert.ok(kept > 0);
  const { last } = await (await fetch(`${server.url}/v1/channels/full`)).json() as { last: string };
  let read = 0;
  for (let after = "earliest"; after !== last;) {
    const page = await (await fetch(`${url}?after=${after}`)).json() as Page;
    read += page.events.length;
    after = page.cursor;
  }
  assert.equal(read, kept);
});

interface Page {
  readonly events: readonly unknown[];
  readonly cursor: string;
}

/** Text that takes as much space on the disk. */
const LARGE = "x".repeat(700_000);

Deno.test("a full disk can be freed: deletes and shorter retention are accepted, and then events", {
  ignore: SMALL_DISKS_MISSING,
}, async () => {
  await using server = await WeirServer.start({ diskBytes: 56 * MIB });
  const { url } = server;
  await until("there is a reserve", () => exists(`${server.disk}/weir.db.reserve`));
  const counts = await fill(server, ["large", "small"]);
  assert.ok(Math.min(...counts) >= 3, String(counts));
  await requireFull(server);

  const shorter = await fetch(`${url}/v1/channels/small`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ retention: { events: 2 } }),
  });
  assert.equal((await shorter.json()).retention.events, 2);
  await requireFull(server);
  assert.equal((await readAll(url, "large")).length, counts[0]);
  const deleted = await fetch(`${url}/v1/channels/large`, { method: "DELETE" });
  await deleted.body?.cancel();
  assert.equal(deleted.status, 204);

  await until("it is ready again", async () => await readiness(server) === 200);
  await publish(url, "small", LARGE);
  assert.equal(await readiness(server), 200);
  const log = await server.stderr();
  assert.equal(log.match(/the disk is full/g)?.length, 1);
  assert.equal(log.match(/the store has room again/g)?.length, 1);
});

Deno.test("events are stored again when others free the disk, in every isolate", {
  ignore: SMALL_DISKS_MISSING,
}, async () => {
  await using server = await WeirServer.start({ diskBytes: 64 * MIB, by: "serve" });
  await until("there is a reserve", () => exists(`${server.disk}/weir.db.reserve`));
  await Deno.writeFile(`${server.disk}/other`, new Uint8Array(20 * MIB));
  await fill(server, ["a"]);
  // All isolates notice within seconds.
  await until("all isolates refuse", () => areAll(server, 507));
  await Deno.remove(`${server.disk}/other`);
  await until("all isolates are ready", () => areAll(server, 200));
  // The isolate of this connection may be the last to notice.
  await until("an event is stored", async () => {
    const response = await post(server.url, "a", "1");
    await response.body?.cancel();
    return response.status === 201;
  });
});

/** Publishes to the channels in turn until the disk is full. Returns how many each has taken. */
async function fill(
  { url }: WeirServer,
  channels: readonly string[],
): Promise<readonly number[]> {
  const counts = channels.map(() => 0);
  for (let i = 0;; i++) {
    const response = await post(url, channels[i % channels.length]!, JSON.stringify(LARGE));
    await response.body?.cancel();
    if (response.status === 507) return counts;
    assert.equal(response.status, 201);
    counts[i % channels.length]!++;
  }
}

async function requireFull(server: WeirServer): Promise<void> {
  const response = await post(server.url, "tiny", "1");
  assert.equal(response.status, 507);
  assert.equal((await response.json()).code, "storage_full");
  assert.equal(await readiness(server), 507);
}

async function areAll(server: WeirServer, status: number): Promise<boolean> {
  for (let i = 0; i < 10; i++) if (await readiness(server) !== status) return false;
  return true;
}

async function readiness({ url }: WeirServer): Promise<number> {
  return (await freshFetch(`${url}/readyz`)).status;
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
