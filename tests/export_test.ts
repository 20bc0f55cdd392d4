import assert from "node:assert/strict";
import { Denokv, DENOKV_MISSING } from "./support/denokv.ts";
import { bearer, guardedLocal } from "./support/guarded.ts";
import { openEmbedded } from "./support/log_stores.ts";
import { LocalServer } from "./support/local_server.ts";
import { post, publish, publishNumbers } from "./support/publishing.ts";
import { readAll, READERS } from "./support/readers.ts";
import { WeirServer } from "./support/server.ts";
import { refused, runStoreCommand, StoreCommand } from "./support/store_commands.ts";
import { modeOf, sizeOf, TemporaryFolder } from "./support/temporary_folder.ts";
import { until } from "./support/until.ts";

/** Returns a page as it is on the wire. */
async function textOf(url: string, channel: string): Promise<string> {
  const response = await fetch(
    `${url}/v1/channels/${encodeURIComponent(channel)}/events?after=earliest&limit=1000`,
  );
  return await response.text();
}

async function publishBody(...args: Parameters<typeof post>): Promise<void> {
  const response = await post(...args);
  const text = await response.text();
  assert.ok(response.ok, text);
}

async function setRetention(url: string, channel: string, retention: unknown): Promise<void> {
  const response = await fetch(`${url}/v1/channels/${channel}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ retention }),
  });
  const text = await response.text();
  assert.ok(response.ok, text);
}

async function figuresOf(url: string): Promise<readonly unknown[]> {
  return (await (await fetch(`${url}/v1/channels`)).json()).channels;
}

Deno.test("channels that are exported and imported are the same, byte for byte", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/channels.ndjson`;
  await using from = await LocalServer.start();
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  await publishBody(from.url, "a/ü", `{ "n": 12345678901234567890,\n "s": "\\u00e4" }`);
  await publishBody(from.url, "a/ü", "text\r\nof lines", { "Content-Type": "text/plain" });
  await publishBody(from.url, "a/ü", new Uint8Array([0, 1, 255]), { "Content-Type": "image/png" });
  await publishBody(from.url, "a/ü", JSON.stringify("x".repeat(1_000_000)));
  const named = { "Idempotency-Key": "id-1", "Weir-Type": "t", traceparent };
  await publish(from.url, "a/ü", 5, named);
  const acks = await publishNumbers(from.url, "numbers", 30);
  await setRetention(from.url, "numbers", { events: 50 });
  await setRetention(from.url, "empty", { age: 90 });

  const exported = await runStoreCommand(["export", "--url", from.url, file]);
  assert.equal(exported.code, 0, exported.stderr);
  assert.match(exported.stderr, /^Exported 35 events of 3 channels\.\n$/);
  assert.equal(modeOf(file), 0o600);
  const link = `${folder.path}/link`;
  await Deno.symlink("target.ndjson", link);
  assert.equal((await runStoreCommand(["export", "--url", from.url, link])).code, 0);
  assert.equal(await Deno.readLink(link), "target.ndjson");
  assert.equal(
    await Deno.readTextFile(`${folder.path}/target.ndjson`),
    await Deno.readTextFile(file),
  );
  const piped = await runStoreCommand(["export", "--url", from.url, "--channel", "numbers"]);
  assert.ok((await Deno.readTextFile(file)).endsWith(piped.stdout));

  const kv = `${folder.path}/new/weir.db`;
  const imported = await runStoreCommand(["import", file], { WEIR_KV: kv });
  assert.equal(imported.code, 0, imported.stderr);
  assert.equal(imported.stdout, "Imported 3 channels of 35 events.\n");
  const again = await runStoreCommand(["import", file], { WEIR_KV: kv });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.stdout, "Imported nothing. 3 channels had been imported before.\n");

  await using to = await WeirServer.start({ env: { WEIR_KV: kv } });
  assert.deepEqual(await figuresOf(to.url), await figuresOf(from.url));
  for (const channel of ["a/ü", "numbers", "empty"]) {
    assert.equal(await textOf(to.url, channel), await textOf(from.url, channel));
  }
  // Readers continue there with the cursors that they have.
  const cursor = acks[19]?.offset ?? "";
  await using reader = await (READERS["SSE"] ?? assert.fail())(to.url, ["numbers"], cursor);
  assert.equal((await reader.next()).event?.data, 21);
  const next = await publish(to.url, "numbers", 31);
  assert.deepEqual(next.offset, (await publish(from.url, "numbers", 31)).offset);
  assert.equal((await publish(to.url, "a/ü", 5, named)).duplicate, true);
  // A server has the file open; afterwards the channel has other events than the export.
  await refused(["import", file], { WEIR_KV: kv }, /another process has it open\. Stop the server/);
  await to.kill("SIGTERM");
  const changed = await runStoreCommand(["import", file], { WEIR_KV: kv });
  assert.equal(changed.code, 1);
  assert.match(
    changed.stderr,
    /^numbers was not imported: it exists already\. Use another tenant or another store\.$/m,
  );
  assert.equal(
    changed.stdout,
    "Imported nothing. 2 channels had been imported before. 1 channel was refused.\n",
  );
  const renamed = `${folder.path}/renamed.ndjson`;
  const text = await Deno.readTextFile(file);
  await Deno.writeTextFile(renamed, text.replaceAll('"channel":"a/ü"', '"channel":"b"'));
  const partly = await runStoreCommand(["import", renamed], { WEIR_KV: kv });
  assert.equal(partly.code, 1);
  assert.equal(
    partly.stdout,
    "Imported 1 channel of 5 events. 1 channel had been imported before. 1 channel was refused.\n",
  );
});

Deno.test("an export or import that is killed is continued by the next one", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/channels.ndjson`;
  await using server = await LocalServer.start();
  const large = JSON.stringify("x".repeat(300_000));
  for (const channel of ["a", "b", "c"]) {
    for (let i = 0; i < 30; i++) await publishBody(server.url, channel, large);
    await publishNumbers(server.url, channel, 20);
  }
  const whole = await runStoreCommand(["export", "--url", server.url]);
  assert.equal(whole.code, 0);

  for (let tries = 0, kills = 0; kills < 3; tries++) {
    assert.ok(tries < 30, "the export ends before it can be killed");
    const before = sizeOf(`${file}.part`);
    await using command = new StoreCommand(["export", "--url", server.url, file]);
    const hasGrown = () => sizeOf(`${file}.part`) > before + 1_000_000;
    await until("the export has begun", () => command.hasEnded || hasGrown());
    command.kill("SIGKILL");
    if ((await command.said()).code !== 0) kills++;
    else await Deno.remove(file);
  }
  // A crash may leave a part of a line.
  await Deno.writeTextFile(`${file}.part`, `{"channel":"b","offset"`, { append: true });
  const exported = await runStoreCommand(["export", "--url", server.url, file]);
  assert.equal(exported.code, 0, exported.stderr);
  assert.equal(await Deno.readTextFile(file), whole.stdout);

  const kv = `${folder.path}/new/weir.db`;
  for (let tries = 0, kills = 0; kills < 3; tries++) {
    assert.ok(tries < 30, "the import ends before it can be killed");
    const before = sizeOf(kv) + sizeOf(`${kv}-wal`);
    await using command = new StoreCommand(["import", file], { WEIR_KV: kv });
    const hasGrown = () => sizeOf(kv) + sizeOf(`${kv}-wal`) > before + 1_000_000;
    await until("the import has begun", () => command.hasEnded || hasGrown());
    command.kill("SIGKILL");
    if ((await command.said()).code !== 0) kills++;
    else {
      kills = 0;
      await Deno.remove(`${folder.path}/new`, { recursive: true });
    }
    // What is not complete is not there.
    await using look = await WeirServer.start({ env: { WEIR_KV: kv } });
    for (const channel of await figuresOf(look.url)) {
      assert.equal((channel as { readonly events: number }).events, 50);
    }
    await look.kill("SIGTERM");
  }
  const imported = await runStoreCommand(["import", file], { WEIR_KV: kv });
  assert.equal(imported.code, 0, imported.stderr);
  await using restored = await WeirServer.start({ env: { WEIR_KV: kv } });
  for (const channel of ["a", "b", "c"]) {
    assert.deepEqual(await readAll(restored.url, channel), await readAll(server.url, channel));
  }
});

Deno.test("retention deletes what a killed import has written, and the channel can be imported again", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/channels.ndjson`;
  await using server = await LocalServer.start();
  const large = JSON.stringify("x".repeat(300_000));
  for (let i = 0; i < 30; i++) await publishBody(server.url, "a", large);
  await publishNumbers(server.url, "a", 20);
  assert.equal((await runStoreCommand(["export", "--url", server.url, file])).code, 0);

  const kv = `${folder.path}/weir.db`;
  for (let tries = 0, isKilled = false; !isKilled; tries++) {
    assert.ok(tries < 30, "the import ends before it can be killed");
    await using command = new StoreCommand(["import", file], { WEIR_KV: kv });
    const hasGrown = () => sizeOf(kv) + sizeOf(`${kv}-wal`) > 2_000_000;
    await until("the import has begun", () => command.hasEnded || hasGrown());
    command.kill("SIGKILL");
    isKilled = (await command.said()).signal === "SIGKILL";
    if (!isKilled) await Deno.remove(kv);
  }
  {
    await using store = await openEmbedded(kv);
    const later = Date.now() + 61 * 60 * 1_000;
    const log = await store.isolate({ now: () => later });
    const rows = () => Array.fromAsync(store.kv.list({ prefix: [] }), ({ key }) => key[0]);
    assert.ok((await rows()).includes("chunk"));
    await log.retain();
    assert.deepEqual((await rows()).filter((name) => !/^(retention|lease)/.test(String(name))), []);
  }
  const again = await runStoreCommand(["import", file], { WEIR_KV: kv });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.stdout, "Imported 1 channel of 50 events.\n");
  await using imported = await WeirServer.start({ env: { WEIR_KV: kv } });
  assert.deepEqual(await readAll(imported.url, "a"), await readAll(server.url, "a"));
});

Deno.test("export and import say what is wrong", async () => {
  await using folder = await TemporaryFolder.make();
  const file = `${folder.path}/channels.ndjson`;
  const env = { WEIR_KV: `${folder.path}/weir.db` };
  await using server = await LocalServer.start();
  await publishNumbers(server.url, "a", 3);
  const { stdout } = await runStoreCommand(["export", "--url", server.url]);
  const lines = stdout.trimEnd().split("\n");
  const inputs: readonly (readonly [readonly string[], RegExp])[] = [
    [lines.slice(0, -1), /ends before the channel a does/],
    [lines.slice(1), /^line 1: The first line of the channel a is missing/],
    [[...lines.slice(0, 2), ...lines.slice(3)], /^line 4: Events before this line are missing/],
    [[...lines.slice(0, 2), lines[1] ?? "", ...lines.slice(2)], /^line 3: The offset does not/],
    [["no JSON"], /^The input is not an export of Weir: line 1: The line is not JSON/],
    [[`{"channel":"a","data":1}`], /^The input is not an export of Weir: line 1: "first": /],
    [[lines[0] ?? "", "no JSON"], /^line 2: The line is not JSON/],
    [[lines[0] ?? "", lines[0] ?? ""], /^line 2: The end of a is missing/],
  ];
  for (const [input, message] of inputs) {
    await Deno.writeTextFile(file, `${input.join("\n")}\n`);
    await refused(
      ["import", file],
      { WEIR_KV: `${folder.path}/${crypto.randomUUID()}.db` },
      message,
    );
  }
  await refused(["import", `${folder.path}/none`], env, /none: No such file or directory\.\n$/);
  await refused(["import", folder.path], env, /^Cannot read .*: It is a folder\.\n$/);
  await refused(["import", file], { WEIR_KV: ":memory:" }, /in memory/);
  await refused(["export", "--url", server.url, "--channel", "none"], env, /none/);
  await refused(["export", "--url", server.url, `${folder.path}/no/file`], env, /Cannot write/);
  for (const args of [["export", "--all"], ["import", file, file], ["export", file, file]]) {
    assert.equal((await runStoreCommand(args, env)).code, 2, args.join(" "));
  }
  for (const name of ["export", "import"]) {
    const help = await runStoreCommand([name, "--help"], env);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^Usage: deno task ${name} `, "m"));
  }
});

Deno.test("an export has what its credential may read, and waits for limits", async () => {
  await using world = await guardedLocal({ WEIR_LIMITS: "credential.subscribes=15" });
  const names = Array.from({ length: 25 }, (_, i) => `mine/${i + 10}`);
  const headers = bearer(await world.token({ publish: ["**"] }));
  for (const name of [...names, "other"]) await publish(world.url, name, 1, headers);
  const token = await world.token({ subscribe: ["mine/**"] });
  const args = ["export", "--url", world.url];
  const { code, stdout, stderr } = await runStoreCommand(args, { WEIR_TOKEN: token });
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.filter(({ end }) => end).map(({ channel }) => channel), names);
  await refused(args, { WEIR_TOKEN: "weir_wrong" }, /./);
  await refused([...args, "--channel", "other"], { WEIR_TOKEN: token }, /other/);
});

/** A server with the numbers 1 to 3 in the channel `a`, and its export. */
async function exportNumbers() {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await TemporaryFolder.make());
  const file = `${folder.path}/channels.ndjson`;
  const from = undo.use(await LocalServer.start());
  await publishNumbers(from.url, "a", 3);
  assert.equal((await runStoreCommand(["export", "--url", from.url, file])).code, 0);
  const resources = undo.move();
  return { folder, file, from, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

Deno.test({
  name: "an import to denokv appears to servers that run",
  ignore: DENOKV_MISSING,
  async fn() {
    await using exported = await exportNumbers();
    const { file } = exported;
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using server = await WeirServer.start({ env });
    await using reader = await (READERS["SSE"] ?? assert.fail())(server.url, ["a"], "earliest");
    const imported = await runStoreCommand(["import", file], env);
    assert.equal(imported.code, 0, imported.stderr);
    for (const data of [1, 2, 3]) assert.equal((await reader.next()).event?.data, data);
    await publish(server.url, "a", 4);
    assert.equal((await reader.next()).event?.data, 4);
  },
});

Deno.test({
  name:
    "an import to denokv is refused while another one of its channel runs, and continues a killed one",
  ignore: DENOKV_MISSING,
  async fn() {
    await using exported = await exportNumbers();
    const { folder, file, from } = exported;
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    // It waits for the rest of its input.
    const pipe = `${folder.path}/pipe`;
    assert.ok((await new Deno.Command("mkfifo", { args: [pipe] }).output()).success);
    await using first = new StoreCommand(["import", pipe], env);
    {
      using input = await Deno.open(pipe, { write: true });
      const [head = ""] = (await Deno.readTextFile(file)).split("\n");
      await input.write(new TextEncoder().encode(`${head}\n`));
      const kv = await denokv.openKv();
      const hasBegun = async () => (await Array.fromAsync(kv.list({ prefix: ["import"] }))).length;
      await until("the import has begun", async () => await hasBegun() === 1);
      kv.close();
      await refused(
        ["import", file],
        env,
        /^Waiting up to 10 s for a: .*\na was not imported: another import of it is running/m,
      );
      first.kill("SIGKILL");
      await first.said();
    }
    const second = await runStoreCommand(["import", file], env);
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stderr, /^Waiting up to 10 s for a: another import of it was killed or/m);
    await using server = await WeirServer.start({ env });
    assert.deepEqual(await readAll(server.url, "a"), await readAll(from.url, "a"));
  },
});
