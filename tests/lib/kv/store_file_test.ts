import assert from "node:assert/strict";
import { type FileStat, findOpenedFiles, StoreFile } from "../../../lib/kv/store_file.ts";

const PATH = "link/weir.db";
const REAL_PATH = "data/weir.db";
const LOG = "data/weir.db-wal";

/** The files of a store, by path; a test changes them. */
function files(): Map<string, FileStat> {
  return new Map([
    [PATH, { dev: 1, ino: 10, size: 4_096 }],
    [LOG, { dev: 1, ino: 11, size: 0 }],
  ]);
}

function open(found: ReadonlyMap<string, FileStat>): StoreFile {
  const readStat = (path: string) => found.get(path);
  return new StoreFile(findOpenedFiles(PATH, REAL_PATH, readStat), readStat);
}

Deno.test("a store that grows is not lost", () => {
  const found = files();
  const file = open(found);
  assert.equal(file.loss(), undefined);
  for (const size of [8_192, 8_192, 1_000_000]) {
    found.set(PATH, { dev: 1, ino: 10, size });
    found.set(LOG, { dev: 1, ino: 11, size: 2 * size });
    assert.equal(file.loss(), undefined);
  }
});

Deno.test("a write-ahead log that another program has shortened is not lost", () => {
  const found = files();
  found.set(LOG, { dev: 1, ino: 11, size: 4_000_000 });
  const file = open(found);
  found.set(LOG, { dev: 1, ino: 11, size: 0 });
  assert.equal(file.loss(), undefined);
});

for (const path of [PATH, LOG]) {
  Deno.test(`${path} is lost until it is back after it was removed or replaced`, () => {
    const found = files();
    const file = open(found);
    const opened = found.get(path)!;
    found.delete(path);
    assert.equal(file.loss(), "removed");
    found.set(path, { ...opened, ino: 12, size: 1_000_000 });
    assert.equal(file.loss(), "replaced");
    found.set(path, { ...opened, dev: 2 }); // another file system is mounted over the folder
    assert.equal(file.loss(), "replaced");
    found.set(path, opened);
    assert.equal(file.loss(), undefined);
  });
}

Deno.test("a store that was shorter once is lost for good", () => {
  const found = files();
  const file = open(found);
  for (const size of [1_000_000, 999_999]) {
    found.set(PATH, { dev: 1, ino: 10, size });
    assert.equal(file.loss(), size === 1_000_000 ? undefined : "truncated");
  }
  found.set(PATH, { dev: 1, ino: 10, size: 2_000_000 });
  assert.equal(file.loss(), "truncated");
});

Deno.test("a store that was truncated right after it was opened is lost", () => {
  const found = files();
  const file = open(found);
  found.set(PATH, { dev: 1, ino: 10, size: 0 });
  assert.equal(file.loss(), "truncated");
});

Deno.test("without a write-ahead log and without numbers of files, a store can be removed only", () => {
  const found = new Map<string, FileStat>([[PATH, { dev: 1, ino: null, size: 4_096 }]]);
  const file = open(found);
  assert.equal(file.loss(), undefined);
  found.delete(PATH);
  assert.equal(file.loss(), "removed");
});

Deno.test("a store that is gone right after it was opened is reported", () => {
  assert.throws(() => open(new Map()), /Cannot find link\/weir\.db/);
});
