import assert from "node:assert/strict";
import { openStore, type Store } from "../../../lib/kv/store.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { pause } from "../../../lib/shared/async/delay.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";
import "../../support/open_broadcast_channel.ts";

const ISOLATES = 4;
const FILES = 100;

/** An isolate of this process. It opens the store at the path of a message, and closes it on null. */
const ISOLATE = `
  const { openStore } = await import("${import.meta.resolve("../../../lib/kv/store.ts")}");
  let store;
  onmessage = async ({ data: path }) => {
    try {
      if (path === null) await store.close();
      else store = await openStore(path);
      postMessage("done");
    } catch (cause) {
      postMessage(String(cause));
    }
  };
  postMessage("done");
`;

Deno.test("isolates that start together all open a new file", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_store_" });
  const url = URL.createObjectURL(new Blob([ISOLATE], { type: "text/javascript" }));
  const isolates = Array.from({ length: ISOLATES }, () => new Worker(url, { type: "module" }));
  const done = isolates.map(() => "done");
  try {
    assert.deepEqual(await Promise.all(isolates.map(answer)), done);
    for (let i = 0; i < FILES; i++) {
      const path = `${directory}/${i}.db`;
      assert.deepEqual(await Promise.all(isolates.map((isolate) => ask(isolate, path))), done);
      assert.deepEqual(await Promise.all(isolates.map((isolate) => ask(isolate, null))), done);
    }
  } finally {
    for (const isolate of isolates) isolate.terminate();
    URL.revokeObjectURL(url);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("each isolate hears the commits of all others that have the file open", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_store_" });
  const path = `${directory}/weir.db`;
  const a = testChannelKey("a");
  const heard: string[] = [];
  const listen = ({ doorbell }: Store, name: string) =>
    doorbell.listen(a, (news) => void heard.push(`${name} ${news?.versionstamp}`));
  const first = await openStore(path);
  first.doorbell.committed([{ channelKey: a }], "01"); // nobody hears it
  const second = await openStore(path);
  listen(second, "second");
  first.doorbell.committed([{ channelKey: a }], "02");
  await until("the second hears the first", () => heard.length === 1);
  await first.close();
  const third = await openStore(path); // takes the lock of the first
  listen(third, "third");
  third.doorbell.committed([{ channelKey: a }], "03");
  second.doorbell.committed([{ channelKey: a }], "04");
  await until("the two others hear each other", () => heard.length === 3);
  assert.deepEqual(heard.toSorted(), ["second 02", "second 03", "third 04"]);
  await second.close();
  await third.close();
  await Deno.remove(directory, { recursive: true });
});

const LOSSES = [
  { what: "the store was", lost: "data/weir.db" },
  { what: "the write-ahead log was", lost: "data/weir.db-wal" },
  { what: "the folder was", lost: "data" },
];

for (const { what, lost } of LOSSES) {
  Deno.test(`an isolate that starts after ${what} removed creates nothing, and waits until it is back`, async () => {
    await using folder = await TemporaryFolder.make();
    const root = folder.path;
    await Deno.mkdir(`${root}/data`);
    const path = `${root}/data/weir.db`;
    const first = await openStore(path);
    await first.kv.set(["from"], "first");
    await Deno.rename(`${root}/${lost}`, `${root}/away`);
    let isOpen = false;
    const opening = openStore(path).then((store) => {
      isOpen = true;
      return store;
    });
    await pause(300);
    assert.equal(isOpen, false);
    await assert.rejects(Deno.stat(`${root}/${lost}`), Deno.errors.NotFound);
    await assert.rejects(first.kv.set(["refused"], 1), Problem);
    await Deno.rename(`${root}/away`, `${root}/${lost}`);
    const second = await opening;
    assert.equal((await second.kv.get(["from"])).value, "first");
    await second.kv.set(["from"], "second");
    assert.equal((await first.kv.get(["from"])).value, "second");
    await second.close();
    await first.close();
  });
}

Deno.test("an isolate that starts after the store was replaced does not open the other file", async () => {
  await using folder = await TemporaryFolder.make();
  const path = `${folder.path}/weir.db`;
  const first = await openStore(path);
  await Deno.rename(path, `${path}.away`);
  await Deno.writeFile(path, new Uint8Array());
  const opening = openStore(path);
  await pause(300);
  assert.equal((await Deno.stat(path)).size, 0);
  await Deno.rename(`${path}.away`, path);
  await (await opening).close();
  await first.close();
});

function ask(isolate: Worker, path: string | null): Promise<unknown> {
  const answered = answer(isolate);
  isolate.postMessage(path);
  return answered;
}

/** Returns the next message of the isolate. */
function answer(isolate: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    isolate.onmessage = ({ data }) => resolve(data);
    isolate.onerror = reject;
  });
}
