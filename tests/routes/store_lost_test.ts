import assert from "node:assert/strict";
import { freshFetch } from "../support/fresh_fetch.ts";
import { readMetrics } from "../support/metrics.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer, type WeirServerOptions } from "../support/server.ts";
import { until } from "../support/until.ts";

const CHANNEL = "orders";

/** A server whose store has a folder of its own, with three events. */
interface World extends AsyncDisposable {
  readonly server: WeirServer;
  readonly folder: string;
}

Deno.test("a removed store refuses publishes at once, and its events can still be read", async () => {
  await using world = await open();
  const { server, folder } = world;
  await Deno.remove(`${folder}/weir.db`);
  await requireRefusals(server);
  assert.deepEqual(await acknowledged(server), [1, 2, 3]);
  await until("the log says what happened", async () => (await troubles(server)).length > 0);
  await requireRefusals(server);
  const [trouble, ...others] = await troubles(server);
  assert.match(String(trouble), /weir\.db, or its -wal file was removed: publishes are refused/);
  assert.deepEqual(others, []);
});

Deno.test("a server whose folder was removed stores nothing, and a second one begins there", async () => {
  await using world = await open();
  const { server, folder } = world;
  await Deno.remove(folder, { recursive: true });
  await requireRefusals(server);
  await using second = await WeirServer.start({ env: { WEIR_DATA: folder, WEIR_KV: server.kv } });
  await publish(second.url, CHANNEL, "new");
  await requireRefusals(server);
  assert.deepEqual(await numbers(second), ["new"]);
});

Deno.test("every isolate of a process refuses publishes once the store is removed", async () => {
  await using world = await open({ by: "serve" });
  const { server, folder } = world;
  await until("both isolates have it open", async () => {
    return (await readMetrics(server.url)).get("weir_isolates") === 2;
  });
  await Deno.remove(`${folder}/weir.db`);
  for (let i = 0; i < 10; i++) await requireRefusals(server); // by either isolate
  await until("the log says what happened", async () => (await troubles(server)).length > 0);
  assert.equal((await troubles(server)).length, 1);
});

Deno.test("a store that was moved away and back loses nothing, and takes events again", async () => {
  await using world = await open();
  const { server, folder } = world;
  await Deno.rename(folder, `${folder}.away`);
  await requireRefusals(server);
  await until("the log says what happened", async () => (await troubles(server)).length > 0);
  await Deno.rename(`${folder}.away`, folder);
  await publish(server.url, CHANNEL, 4);
  await requireReady(server, 200);
  await until("the log says that it is back", async () => /is back/.test(await server.stderr()));
  await server.kill();
  await server.start();
  assert.deepEqual(await acknowledged(server), [1, 2, 3, 4]);
});

Deno.test("a store that was replaced refuses publishes, also once the copy has grown", async () => {
  await using world = await open();
  const { server, folder } = world;
  await Deno.copyFile(`${folder}/weir.db`, `${folder}/copy.db`);
  await Deno.rename(`${folder}/copy.db`, `${folder}/weir.db`);
  await requireRefusals(server);
});

Deno.test("a truncated store refuses publishes for good, and the next start", async () => {
  await using world = await open();
  const { server, folder } = world;
  const path = `${folder}/weir.db`;
  await Deno.truncate(path);
  await requireRefusals(server);
  await Deno.truncate(path, 1_000_000);
  await requireRefusals(server);
  await Deno.truncate(path);
  await server.kill();
  await assert.rejects(server.start(), /was truncated and has lost all events/);
});

Deno.test("after its write-ahead log was removed, a store keeps what it has acknowledged", async () => {
  await using world = await open();
  const { server, folder } = world;
  await Deno.remove(`${folder}/weir.db-wal`);
  await requireRefusals(server);
  await server.kill("SIGTERM");
  await server.start();
  assert.deepEqual(await acknowledged(server), [1, 2, 3]);
});

Deno.test("a second server is refused after the lock's file was removed", async () => {
  await using world = await open();
  const { server, folder } = world;
  const lock = `${folder}/weir.db.lock`;
  await Deno.remove(lock);
  await until("the lock is back", () => Deno.stat(lock).then(() => true, () => false));
  const { stderr } = await WeirServer.refused({ env: { WEIR_KV: server.kv } });
  assert.match(stderr, /another process has it open/);
  await publish(server.url, CHANNEL, 4);
});

async function open({ by = "run" }: Pick<WeirServerOptions, "by"> = {}): Promise<World> {
  await using undo = new AsyncDisposableStack();
  const root = await Deno.makeTempDir({ prefix: "weir_lost_" });
  undo.defer(() => Deno.remove(root, { recursive: true }));
  const folder = `${root}/data`;
  const env = { WEIR_DATA: folder, WEIR_KV: `${folder}/weir.db` };
  const server = undo.use(await WeirServer.start({ by, env }));
  await publishNumbers(server.url, CHANNEL, 3);
  const resources = undo.move();
  return { server, folder, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Checks that publishes and further writes are refused, and that the server is not ready. */
async function requireRefusals({ url }: WeirServer): Promise<void> {
  for (const channel of [CHANNEL, newChannel()]) {
    const response = await freshFetch(`${url}/v1/channels/${channel}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `"lost"`,
    });
    assert.equal(response.status, 503);
    assert.ok(response.headers.has("Retry-After"));
    assert.equal((await response.json()).code, "storage_read_only");
  }
  await requireReady({ url }, 503);
}

async function requireReady({ url }: Pick<WeirServer, "url">, status: number): Promise<void> {
  assert.equal((await freshFetch(`${url}/readyz`)).status, status);
}

/** Returns what the server's log says about the loss. */
async function troubles(server: WeirServer): Promise<readonly string[]> {
  return (await server.stderr()).split("\n").filter((line) => /the file of the store/.test(line));
}

/** Returns the data of the channel's events. */
async function numbers({ url }: WeirServer): Promise<readonly unknown[]> {
  return (await readAll(url, CHANNEL)).map(({ data }) => data);
}

/** Returns the data of those events that were acknowledged: others may be stored as well. */
async function acknowledged(server: WeirServer): Promise<readonly unknown[]> {
  return (await numbers(server)).filter((data) => data !== "lost");
}
