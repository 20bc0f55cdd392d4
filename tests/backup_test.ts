import assert from "node:assert/strict";
import { type Epoch, formatOffset, parseOffset } from "../lib/shared/offset.ts";
import { connect } from "../lib/client/client.ts";
import { Denokv, DENOKV_MISSING } from "./support/denokv.ts";
import { publish } from "./support/publishing.ts";
import { readAll, READERS } from "./support/readers.ts";
import { WeirServer } from "./support/server.ts";
import { refused, runStoreCommand, StoreCommand } from "./support/store_commands.ts";
import { modeOf, namesIn, sizeOf, TemporaryFolder } from "./support/temporary_folder.ts";
import { until } from "./support/until.ts";

const PUBLISHERS = 6;
const CHANNELS = ["a", "b", "c"];

/** Publishes one event to every channel in one commit, and returns their offsets. */
async function publishToAll(url: string, data: number): Promise<readonly string[]> {
  const response = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ events: CHANNELS.map((channel) => ({ channel, data, id: `${data}` })) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text).events.map(({ offset }: { readonly offset: string }) => offset);
}

Deno.test("a backup under load holds a prefix of each channel, and its cursors are never mistaken", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/backup.db`;
  let epoch = "";
  let newest = 0;
  await using server = await WeirServer.start();
  await publishToAll(server.url, 0);
  await using command = new StoreCommand(["backup", file], { WEIR_KV: server.kv });
  const publishing = Array.from({ length: PUBLISHERS }, async (_, publisher) => {
    // Also after the backup: these are the events that it lacks.
    for (let i = 0, after = 0; after < 5; i++, after += command.hasEnded ? 1 : 0) {
      const data = publisher + 1 + i * PUBLISHERS;
      for (const offset of await publishToAll(server.url, data)) {
        epoch = offset.slice(0, 9);
        newest = Math.max(newest, parseOffset(offset).sequence);
      }
    }
  });
  const { code, stdout, stderr } = await command.said();
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Backed up the store to \S+ \(\S+ \wB\) in \S+ s\.\n$/);
  await Promise.all(publishing);
  const original = new Map(
    await Promise.all(
      CHANNELS.map(async (channel) =>
        [channel, (await readAll(server.url, channel)).map(({ data }) => data)] as const
      ),
    ),
  );
  await server.kill("SIGKILL");

  const kv = `${folder.path}/new/weir.db`;
  const restored = await runStoreCommand(["restore", file], { WEIR_KV: kv });
  assert.equal(restored.code, 0, restored.stderr);
  assert.deepEqual(
    [...Deno.readDirSync(`${folder.path}/new`)].map(({ name }) => name).sort(),
    ["weir.db", "weir.db.lock"],
  );
  await using again = await WeirServer.start({ env: { WEIR_KV: kv } });
  const counts = new Set<number>();
  let lastKept = 0;
  for (const channel of CHANNELS) {
    const events = await readAll(again.url, channel);
    assert.deepEqual(
      events.map(({ data }) => data),
      original.get(channel)?.slice(0, events.length),
    );
    assert.deepEqual(
      events.map(({ offset }) => parseOffset(offset).sequence),
      events.map((_, i) => i + 1),
    );
    assert.ok(events.every(({ offset }) => offset.slice(0, 9) !== epoch));
    counts.add(events.length);
    lastKept = events.length;
  }
  assert.equal(counts.size, 1, "a commit to three channels is in the backup in part");
  assert.ok(lastKept >= 1 && lastKept < newest);

  // The sequences that the backup lacks are given out again, for other events.
  for (let i = 0; i < newest - lastKept + 5; i++) await publish(again.url, "a", `new ${i}`);
  const all = await readAll(again.url, "a");
  const beforeRestore = (sequence: number) => formatOffset(epoch as Epoch, sequence);
  for (const sequence of [1, lastKept, lastKept + 1, newest]) {
    const isKept = sequence <= lastKept;
    for (const [transport, open] of Object.entries(READERS)) {
      if (transport === "WebTransport") continue; // the same messages as a WebSocket
      await using reader = await open(again.url, ["a"], beforeRestore(sequence));
      const { gap } = await reader.next();
      const { event } = await reader.next();
      const name = `${transport} after ${sequence} of ${lastKept}`;
      assert.equal(`${gap?.reason} ${gap?.lost}`, isKept ? "restored 0" : "recreated null", name);
      assert.deepEqual(event, all[isKept ? sequence : 0], name);
      assert.equal(gap?.firstAvailable, event?.offset, name);
    }
  }
  // The client takes the gap for what it is, and continues.
  const weir = connect(again.url);
  try {
    const items = weir.subscribe("a", { after: beforeRestore(lastKept) });
    const received = [];
    for await (const item of items) {
      received.push(item.kind === "gap" ? item.reason : item.data);
      if (received.length === 3) break;
    }
    assert.deepEqual(received, ["restored", "new 0", "new 1"]);
  } finally {
    weir.close();
  }
});

Deno.test("an interrupted backup or restore leaves what was there before, and can be started again", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/backup.db`;
  await using server = await WeirServer.start();
  // Enough that the copy takes several steps.
  const large = "x".repeat(900_000);
  await publish(server.url, "first", 1);
  const env = { WEIR_KV: server.kv };
  assert.equal((await runStoreCommand(["backup", file], env)).code, 0);
  const small = await Deno.readFile(file);
  for (let i = 0; i < 60; i++) await publish(server.url, "large", large);

  for (let tries = 0, kills = 0; kills < 3; tries++) {
    assert.ok(tries < 30, "the backup ends before it can be killed");
    await using command = new StoreCommand(["backup", file], env);
    await until("the copy has begun", () => command.hasEnded || sizeOf(`${file}.part`) > 0);
    command.kill("SIGKILL");
    if ((await command.said()).code === 0) await Deno.writeFile(file, small);
    else {
      kills++;
      assert.deepEqual(await Deno.readFile(file), small);
    }
  }
  const again = await runStoreCommand(["backup", file], env);
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(namesIn(folder.path), ["backup.db"]);

  const target = { WEIR_KV: `${folder.path}/data/weir.db` };
  await Deno.writeFile(`${folder.path}/small.db`, small);
  assert.equal((await runStoreCommand(["restore", `${folder.path}/small.db`], target)).code, 0);
  for (let tries = 0, kills = 0; kills < 3; tries++) {
    assert.ok(tries < 30, "the restore ends before it can be killed");
    await using command = new StoreCommand(["restore", "--force", file], target);
    const draft = `${target.WEIR_KV}.restoring`;
    await until("the copy has begun", () => command.hasEnded || sizeOf(draft) > kills * 20e6);
    command.kill("SIGKILL");
    if ((await command.said()).code !== 0) kills++;
    await using restored = await WeirServer.start({ env: target });
    assert.deepEqual((await readAll(restored.url, "first")).map(({ data }) => data), [1]);
    const count = (await readAll(restored.url, "large")).length;
    assert.ok(count === 0 || count === 60, `${count} of 60 events`);
    await restored.kill("SIGTERM");
  }
  const done = await runStoreCommand(["restore", "--force", file], target);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(namesIn(`${folder.path}/data`).filter((name) => /restoring|wal/.test(name)), []);
  await using restored = await WeirServer.start({ env: target });
  assert.equal((await readAll(restored.url, "large")).length, 60);
});

Deno.test("backup and restore refuse what they must not replace or cannot use", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/backup.db`;
  const kv = `${folder.path}/weir.db`;
  await using server = await WeirServer.start({ env: { WEIR_KV: kv } });
  await publish(server.url, "a", 1);
  const env = { WEIR_KV: kv };
  assert.equal((await runStoreCommand(["backup", file], env)).code, 0);
  assert.equal(modeOf(file), 0o600);
  await refused(
    ["restore", "--force", file],
    env,
    /another process has it open\. Stop the server that uses it, and start the command again\.\n$/,
  );
  await refused(["backup", kv], env, /is the store itself/);
  await refused(["backup", folder.path], env, /is a folder/);
  await refused(["backup", `${folder.path}/none/backup.db`], env, /Cannot write the backup/);
  await server.kill("SIGTERM");
  await refused(["restore", file], env, /already\. --force replaces it/);

  const damaged = await Deno.readFile(file);
  damaged.fill(0xff, 4_096 * 2);
  await Deno.writeFile(`${folder.path}/damaged.db`, damaged);
  await Deno.writeTextFile(`${folder.path}/text.db`, "not a store ".repeat(1_000));
  await refused(["restore", "--force", `${folder.path}/damaged.db`], env, /damaged|malformed/);
  await refused(["restore", "--force", `${folder.path}/text.db`], env, /not a database/);
  await refused(["restore", "--force", `${folder.path}/none.db`], env, /There is no backup/);
  await refused(["backup", file], { WEIR_KV: `${folder.path}/none.db` }, /There is no store/);
  await refused(["backup", file], { WEIR_KV: "http://127.0.0.1:1" }, /only a file/);
  await refused(["restore", file], { WEIR_KV: ":memory:" }, /only a file/);
  for (const args of [["backup"], ["backup", file, file], ["restore", "--fast", file], ["copy"]]) {
    assert.equal((await runStoreCommand(args, env)).code, 2, args.join(" "));
  }
  for (const name of ["backup", "restore"]) {
    const { code, stdout } = await runStoreCommand([name, "--help"], env);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^Usage: deno task ${name} `, "m"));
  }
  // A store that is damaged is one reason for a restore.
  await Deno.writeFile(kv, damaged);
  const forced = await runStoreCommand(["restore", "--force", file], env);
  assert.equal(forced.code, 0, forced.stderr);
  await server.start();
  assert.equal((await readAll(server.url, "a")).length, 1);
});

Deno.test("backup and restore write to the files that symbolic links lead to", async () => {
  await using folder = await TemporaryFolder.make();
  const names = `${folder.path}/names`;
  const files = `${folder.path}/files`;
  await Deno.mkdir(names);
  await Deno.mkdir(files);
  const kv = `${names}/weir.db`;
  const file = `${names}/backup.db`;
  await Deno.symlink(`${files}/store.db`, kv);
  await Deno.symlink("../files/copy.db", file);
  const env = { WEIR_KV: kv };
  await using server = await WeirServer.start({ env });
  await publish(server.url, "a", 1);
  for (let times = 0; times < 2; times++) { // to a file that is missing, and to one that is there
    const made = await runStoreCommand(["backup", file], env);
    assert.equal(made.code, 0, made.stderr);
  }
  await publish(server.url, "a", 2);
  await refused(["restore", "--force", file], env, /another process has it open/);
  await refused(
    ["restore", "--force", file],
    { WEIR_KV: `${files}/store.db` },
    /another program has it open/,
  );
  await server.kill("SIGKILL");
  await refused(
    ["restore", "--force", file],
    env,
    new RegExp(`^Cannot restore .* to ${kv}: Requires write access to "${files}/store.db`),
    ["--no-prompt", "--allow-read", `--allow-write=${names}`, "--allow-env=WEIR_*", "--ignore-env"],
  );
  for (const isThere of [true, false]) {
    if (!isThere) await Deno.remove(`${files}/store.db`);
    const restored = await runStoreCommand(["restore", "--force", file], env);
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(await Deno.readLink(kv), `${files}/store.db`);
    assert.equal(await Deno.readLink(file), "../files/copy.db");
    assert.deepEqual(namesIn(files), ["copy.db", "store.db", "store.db.lock"]);
    await server.start();
    assert.deepEqual((await readAll(server.url, "a")).map(({ data }) => data), [1]);
    await server.kill("SIGTERM");
  }
});

Deno.test("only its owner may read a new store, and a restore keeps the mode of the store it replaces", async () => {
  await using folder = await TemporaryFolder.make();
  const kv = `${folder.path}/weir.db`;
  const file = `${folder.path}/backup.db`;
  await using server = await WeirServer.start({ env: { WEIR_KV: kv } });
  await publish(server.url, "a", 1);
  for (const suffix of ["", "-wal", "-shm"]) assert.equal(modeOf(`${kv}${suffix}`), 0o600);
  const env = { WEIR_KV: kv };
  assert.equal((await runStoreCommand(["backup", file], env)).code, 0);
  await server.kill("SIGTERM");
  // Also if the backup was copied to a file that others may read.
  await Deno.chmod(file, 0o644);
  for (const mode of [0o600, 0o640, 0o644]) {
    await Deno.chmod(kv, mode);
    await Deno.writeTextFile(`${kv}.restoring`, "of an interrupted restore", { mode: 0o666 });
    assert.equal((await runStoreCommand(["restore", "--force", file], env)).code, 0);
    assert.equal(modeOf(kv), mode);
  }
  const other = `${folder.path}/other.db`;
  assert.equal((await runStoreCommand(["restore", file], { WEIR_KV: other })).code, 0);
  assert.equal(modeOf(other), 0o600);
  // A link that leads to no file yet.
  const link = `${folder.path}/link.db`;
  await Deno.symlink("target.db", link);
  await using linked = await WeirServer.start({ env: { WEIR_KV: link } });
  assert.equal(modeOf(link), 0o600);
  assert.equal(await Deno.readLink(link), "target.db");
  await linked.kill("SIGTERM");
});

Deno.test({
  name: "the file of a denokv that runs can be backed up, and restored when it has stopped",
  ignore: DENOKV_MISSING,
  async fn() {
    await using folder = await TemporaryFolder.make();
    const file = `${folder.path}/backup.db`;
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using server = await WeirServer.start({ env });
    await publish(server.url, "a", 1);
    const ofFile = { WEIR_KV: denokv.path };
    const made = await runStoreCommand(["backup", file], ofFile);
    assert.equal(made.code, 0, made.stderr);
    const late = await publish(server.url, "a", 2);
    await refused(["restore", "--force", file], ofFile, /another program has it open/);
    await server.kill("SIGTERM");
    await denokv.kill();
    const restored = await runStoreCommand(["restore", "--force", file], ofFile);
    assert.equal(restored.code, 0, restored.stderr);
    await denokv.start();
    await server.start();
    const next = await publish(server.url, "a", 3);
    assert.equal(parseOffset(next.offset).sequence, 2);
    assert.notEqual(next.offset, late.offset);
    assert.deepEqual((await readAll(server.url, "a")).map(({ data }) => data), [1, 3]);
  },
});
