import assert from "node:assert/strict";
import { SharedReads } from "../../../../lib/shared/async/shared_reads.ts";

/** Reads that end when the test lets them. */
class ManualReads {
  readonly started: { readonly key: string; readonly end: PromiseWithResolvers<string> }[] = [];
  readonly shared = new SharedReads((key: string) => {
    const end = Promise.withResolvers<string>();
    this.started.push({ key, end });
    return end.promise;
  });

  get keys(): readonly string[] {
    return this.started.map(({ key }) => key);
  }

  end(index: number, value: string): Promise<void> {
    this.started[index]?.end.resolve(value);
    return turn();
  }
}

Deno.test("calls of the same turn share one read", async () => {
  const reads = new ManualReads();
  const calls = [reads.shared.get("a"), reads.shared.get("a"), reads.shared.get("b")];
  await turn();
  assert.deepEqual(reads.keys, ["a", "b"]);
  await reads.end(0, "first");
  await reads.end(1, "other");
  assert.deepEqual(await Promise.all(calls), ["first", "first", "other"]);
});

Deno.test("calls during a read share the next one, which starts after it", async () => {
  const reads = new ManualReads();
  const first = reads.shared.get("a");
  await turn();
  const later = [reads.shared.get("a"), reads.shared.get("a")];
  await turn();
  assert.deepEqual(reads.keys, ["a"]);
  await reads.end(0, "old");
  assert.equal(await first, "old");
  assert.deepEqual(reads.keys, ["a", "a"]);
  await reads.end(1, "new");
  assert.deepEqual(await Promise.all(later), ["new", "new"]);
  const last = reads.shared.get("a");
  await turn();
  await reads.end(2, "last");
  assert.equal(await last, "last");
});

Deno.test("a read that rejects fails its own calls only", async () => {
  const reads = new ManualReads();
  const first = reads.shared.get("a");
  const failed = assert.rejects(first, /away/);
  await turn();
  const next = reads.shared.get("a");
  reads.started[0]?.end.reject(new Error("away"));
  await failed;
  await turn();
  await reads.end(1, "back");
  assert.equal(await next, "back");
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
