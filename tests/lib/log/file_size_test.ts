import assert from "node:assert/strict";
import { draft } from "../../support/drafts.ts";
import { KEEP_ALL, openEmbedded } from "../../support/log_stores.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

/** More than the write-ahead log, which has 4 MB before it is moved into the file. */
const LIMIT = 5_000_000;
/** Bytes that are published between two passes of retention. */
const PER_PASS = 2_500_000;
/** Passes until the file has its size, and in all. */
const FIRST_PASSES = 4;
const PASSES = 12;

for (
  const { name, bytes, hasIds } of [
    { name: "events of 8 KB with ids", bytes: 8_000, hasIds: true },
    { name: "events of 200 KB", bytes: 200_000, hasIds: false },
  ]
) {
  Deno.test(`with retention the file of the store stops growing: ${name}`, async () => {
    await using folder = await TemporaryFolder.make();
    const path = `${folder.path}/weir.db`;
    await using store = await openEmbedded(path);
    const log = await store.isolate({ retention: { ...KEEP_ALL, bytes: LIMIT } });
    const data = JSON.stringify("x".repeat(bytes));
    let firstSize = 0;
    for (let pass = 1; pass <= PASSES; pass++) {
      const drafts = Array.from(
        { length: PER_PASS / bytes },
        () => draft("a", data, hasIds ? { id: crypto.randomUUID() } : {}),
      );
      await Promise.all(drafts.map((event) => log.append([event])));
      await log.retain();
      if (pass === FIRST_PASSES) firstSize = (await Deno.stat(path)).size;
    }
    const { size } = await Deno.stat(path);
    assert.ok(firstSize > LIMIT, `${firstSize} bytes`);
    assert.ok(size <= firstSize * 1.1, `from ${firstSize} to ${size} bytes`);
    assert.ok(size <= 2 * (LIMIT + PER_PASS), `${size} bytes for ${LIMIT}`);
  });
}
