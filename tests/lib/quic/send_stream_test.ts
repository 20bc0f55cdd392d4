import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../../lib/quic/bytes.ts";
import { endedStream, SendStream } from "../../../lib/quic/send_stream.ts";

/** Takes one write at a time, when a test says so. */
class FakeQuic {
  readonly writes: Uint8Array[] = [];
  isClosed = false;
  isAborted = false;
  #taken = Promise.withResolvers<void>();
  readonly stream = new SendStream(
    new WritableStream({
      write: (chunk) => {
        this.writes.push(chunk.slice());
        this.#taken = Promise.withResolvers();
        return this.#taken.promise;
      },
      close: () => void (this.isClosed = true),
      abort: () => void (this.isAborted = true),
    }),
  );

  /** Ends the write under way. */
  async take(cause?: Error): Promise<void> {
    await settle();
    if (cause === undefined) this.#taken.resolve();
    else this.#taken.reject(cause);
    await settle();
  }
}

/** Lets a stream of the platform do what it can do now. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);

Deno.test("writes that wait are joined, in order, and resolve when they are taken", async () => {
  const quic = new FakeQuic();
  const done: number[] = [];
  for (let i = 1; i <= 3; i++) quic.stream.write(bytes(i, i)).then(() => done.push(i));
  await quic.take();
  assert.deepEqual([quic.writes.map((write) => write.length), done], [[1, 5], [1]]);
  assert.deepEqual(quic.writes[1], Uint8Array.of(2, 2, 3, 3, 3));
  await quic.take();
  assert.deepEqual(done, [1, 2, 3]);
});

Deno.test("joined writes have at most 64 KiB, and larger ones go alone", async () => {
  const quic = new FakeQuic();
  for (const length of [1, 40_000, 25_536, 1, 100_000, 5, 6]) quic.stream.write(bytes(length));
  for (let i = 0; i < 5; i++) await quic.take();
  assert.deepEqual(quic.writes.map((write) => write.length), [1, 65_536, 1, 100_000, 11]);
});

Deno.test("any writes arrive as one sequence of bytes, then the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.uint8Array(), fc.boolean())), async (writes) => {
      const quic = new FakeQuic();
      let left = writes.length;
      for (const [chunk, isTaken] of writes) {
        quic.stream.write(chunk).then(() => left--);
        if (isTaken) await quic.take();
      }
      quic.stream.end();
      for (let i = 0; i <= writes.length; i++) await quic.take();
      assert.deepEqual(concat(...quic.writes), concat(...writes.map(([chunk]) => chunk)));
      assert.deepEqual([left, quic.isClosed], [0, true]);
    }),
    { numRuns: 50 },
  );
});

Deno.test("after the end nothing is written", async () => {
  const quic = new FakeQuic();
  quic.stream.end();
  await quic.stream.write(bytes(1));
  quic.stream.end();
  await quic.take();
  assert.deepEqual([quic.writes.length, quic.isClosed], [0, true]);
});

Deno.test("a reset drops what waits, and resolves its writes", async () => {
  const quic = new FakeQuic();
  quic.stream.write(bytes(1));
  const waiting = quic.stream.write(bytes(2));
  await settle();
  quic.stream.reset();
  await waiting;
  await quic.take();
  assert.deepEqual([quic.writes.length, quic.isAborted, quic.isClosed], [1, true, false]);
});

Deno.test("a write that fails ends the stream, and no promise rejects", async () => {
  const quic = new FakeQuic();
  const writes = [quic.stream.write(bytes(1)), quic.stream.write(bytes(2))];
  await quic.take(new Error("connection lost"));
  await Promise.all(writes);
  await quic.stream.write(bytes(3));
  quic.stream.end();
  quic.stream.reset();
  assert.equal(quic.writes.length, 1);
});

Deno.test("an ended stream drops what is written", async () => {
  const stream = endedStream();
  await stream.write(bytes(1));
  stream.end();
  stream.reset();
});
