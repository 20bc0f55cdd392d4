import assert from "node:assert/strict";
import fc from "fast-check";
import { readLines } from "../../../lib/publish_cli/input_lines.ts";

const NEVER = new AbortController().signal;

function streamOf(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  })());
}

async function linesOf(text: string | Uint8Array, size: number, maxBytes = 16) {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return await Array.fromAsync(readLines(streamOf(bytes, size), { maxBytes, stop: NEVER }));
}

Deno.test("readLines() numbers lines, and skips blank ones", async () => {
  const text = "a\n\n \t\r\nb\r\n€\nlast";
  for (const size of [1, 2, 3, 100]) {
    assert.deepEqual(
      (await linesOf(text, size)).map(({ number, text, endBytes }) => [number, text, endBytes]),
      [[1, "a", 2], [4, "b\r", 10], [5, "€", 14], [6, "last", 18]],
    );
  }
  assert.deepEqual(await linesOf("", 1), []);
  assert.deepEqual((await linesOf("\ufeff{}\n", 1)).map(({ text }) => text), ["{}"]);
});

Deno.test("readLines() reports lines that are too long or not UTF-8, and continues", async () => {
  const long = "x".repeat(17);
  const text = new TextEncoder().encode(`${long}\na\n${long}${long}\nb\n?\nc\n${long}`);
  text[text.indexOf("?".charCodeAt(0))] = 0xff;
  for (const size of [1, 5, 100]) {
    assert.deepEqual(
      (await linesOf(text, size)).map(({ number, text, fault }) => [number, text ?? fault]),
      [
        [1, "too long"],
        [2, "a"],
        [3, "too long"],
        [4, "b"],
        [5, "not UTF-8"],
        [6, "c"],
        [7, "too long"],
      ],
    );
  }
});

Deno.test("readLines() finds the same lines wherever the input is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 30, unit: fc.constantFrom("a", "é", " ", "😀", "\r") })),
      fc.integer({ min: 1, max: 40 }),
      async (lines, size) => {
        const text = lines.join("\n");
        const found = await linesOf(text, size);
        const expected = lines.flatMap((line, i) => {
          const bytes = new TextEncoder().encode(line).length;
          if (bytes > 16) return [[i + 1, "too long"]];
          return line.trim() === "" ? [] : [[i + 1, line]];
        });
        assert.deepEqual(found.map(({ number, text, fault }) => [number, text ?? fault]), expected);
      },
    ),
  );
});

Deno.test("readLines() ends when it is stopped, also while no input arrives", async () => {
  const stop = new AbortController();
  let isCancelled = false;
  const input = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("a\nb\n")),
    cancel: () => void (isCancelled = true),
  });
  const lines = readLines(input, { maxBytes: 16, stop: stop.signal });
  for (const text of ["a", "b"]) assert.equal((await lines.next()).value?.text, text);
  const next = lines.next();
  stop.abort();
  assert.equal((await next).done, true);
  assert.ok(isCancelled);
});
