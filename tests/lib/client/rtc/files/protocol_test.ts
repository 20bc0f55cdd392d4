import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bytesOfChunk,
  chunkBytesFor,
  chunkCount,
  MAX_CHUNKS,
  MAX_FILE_BYTES,
} from "../../../../../lib/client/rtc/files/layout.ts";
import {
  decodeChunk,
  idOfLabel,
  MAX_CONTROL_LENGTH,
  parseReceiverMessage,
  parseSenderMessage,
  safeName,
  safeType,
} from "../../../../../lib/client/rtc/files/protocol.ts";
import { encodeChunk } from "../../../../support/file_world.ts";

const id = "A".repeat(22);
const root = "0".repeat(64);
const offer = {
  op: "offer",
  id,
  secret: id,
  name: "a.txt",
  size: 10,
  type: "",
  chunk: 65_500,
  again: false,
};

Deno.test("control messages are parsed to what they say", () => {
  const sent = [
    offer,
    { op: "mark", id, count: 5 },
    { op: "end", id, round: 0, lossy: true, root },
    { op: "pause", id, paused: true },
    { op: "cancel", id, code: "file_changed" },
  ];
  for (const message of sent) {
    assert.deepEqual(parseSenderMessage(JSON.stringify({ ...message, extra: 1 })), message);
  }
  const answers = [
    { op: "hello", version: 1 },
    { op: "start", id, secret: id, have: "AA==", paused: false },
    { op: "ack", id, count: 1, bytes: 2 },
    { op: "have", id, round: 1, have: "" },
    { op: "done", id },
    { op: "pause", id, paused: false },
    { op: "cancel", id, code: "declined" },
  ];
  for (const message of answers) {
    assert.deepEqual(parseReceiverMessage(JSON.stringify({ ...message, extra: 1 })), message);
  }
});

Deno.test("a control message with a wrong member is refused", () => {
  const wrong: readonly (readonly [Record<string, unknown>, Record<string, unknown>])[] = [
    [offer, { id: "../../../../etc/passwd" }],
    [offer, { id: `${id}A` }],
    [offer, { secret: 1 }],
    [offer, { name: null }],
    [offer, { size: -1 }],
    [offer, { size: 1.5 }],
    [offer, { size: 1e300 }],
    [offer, { size: MAX_FILE_BYTES + 1 }],
    [offer, { size: "10" }],
    [offer, { chunk: 0 }],
    [offer, { chunk: 1 }],
    [offer, { chunk: 2 ** 20 }],
    [offer, { size: 2 ** 32, chunk: 1_024 }], // too many chunks
    [offer, { again: "yes" }],
    [{ op: "mark", id, count: 1 }, { count: -1 }],
    [{ op: "end", id, round: 0, lossy: true, root }, { root: "0" }],
    [{ op: "end", id, round: 0, lossy: true, root }, { lossy: 1 }],
    [{ op: "pause", id, paused: true }, { paused: 0 }],
    [{ op: "cancel", id, code: "x" }, { code: "<b>" }],
    [{ op: "cancel", id, code: "x" }, { op: "constructor" }],
  ];
  for (const [message, change] of wrong) {
    assert.ok(parseSenderMessage(JSON.stringify(message)));
    const text = JSON.stringify({ ...message, ...change });
    assert.equal(parseSenderMessage(text), undefined, text);
  }
  for (const text of ["", "null", "[]", "1", "{", new ArrayBuffer(2), undefined, '{"op":"done"}']) {
    assert.equal(parseSenderMessage(text), undefined);
    assert.equal(parseReceiverMessage(text), undefined);
  }
  const long = JSON.stringify({ ...offer, name: "a".repeat(MAX_CONTROL_LENGTH) });
  assert.equal(parseSenderMessage(long), undefined);
  assert.equal(parseReceiverMessage(JSON.stringify({ op: "ack", id, count: 1 })), undefined);
  assert.equal(parseReceiverMessage(JSON.stringify({ op: "hello", version: "1" })), undefined);
});

Deno.test("no text makes a parser throw", () => {
  const values = fc.oneof(fc.json(), fc.string(), fc.dictionary(fc.string(), fc.anything()));
  fc.assert(fc.property(values, (value) => {
    const text = typeof value === "string" ? value : "{}";
    parseSenderMessage(text);
    parseReceiverMessage(text);
    decodeChunk(new TextEncoder().encode(text).buffer);
  }));
});

Deno.test("names lose folders, control characters and marks of direction", () => {
  const names = {
    "a.txt": "a.txt",
    "../../etc/passwd": "passwd",
    "C:\\Windows\\win.ini": "win.ini",
    "..": "file",
    "": "file",
    ".bashrc": "bashrc",
    "a\u0000b\n.txt": "ab.txt",
    "photo\u202egpj.exe": "photogpj.exe",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "\ud800.txt": "\ufffd.txt",
  };
  for (const [name, safe] of Object.entries(names)) assert.equal(safeName(name), safe);
  assert.equal(safeName(`${"x".repeat(5_000)}.jpg`).length, 200);
  assert.ok(safeName(`${"x".repeat(5_000)}.jpg`).endsWith(".jpg"));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    const safe = safeName(name);
    assert.ok(safe.length > 0 && safe.isWellFormed());
    assert.doesNotMatch(safe, /[/\\\p{Cc}\u202e]|^\./u);
  }));
});

Deno.test("only media types are types", () => {
  for (const type of ["text/plain", "image/svg+xml", "text/html; charset=utf-8"]) {
    assert.equal(safeType(type), type);
  }
  for (const type of ["", "text", "a/b/c", "<b>/x", "text/html\n", `a/${"b".repeat(200)}`]) {
    assert.equal(safeType(type), "");
  }
});

Deno.test("a chunk survives its way as a message", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(100));
  const hash = crypto.getRandomValues(new Uint8Array(32));
  const { buffer } = encodeChunk({ index: 2 ** 17, hash, bytes });
  assert.deepEqual(decodeChunk(buffer), { index: 2 ** 17, hash, bytes });
  for (const bad of ["text", new ArrayBuffer(0), new ArrayBuffer(36), new Blob()]) {
    assert.equal(decodeChunk(bad), undefined);
  }
  assert.equal(idOfLabel(`weir-file/${id}/12`), id);
  for (const label of ["weir-file", `weir-file/${id}`, `weir-file/${id}/x`, `x/${id}/1`]) {
    assert.equal(idOfLabel(label), undefined);
  }
});

Deno.test("every file up to 64 GiB has at most 2¹⁸ chunks, whose bytes add up", () => {
  const size = fc.oneof(fc.nat(10_000_000), fc.maxSafeNat().map((n) => n % MAX_FILE_BYTES));
  fc.assert(fc.property(size, fc.constantFrom("reliable", "partial"), (size, mode) => {
    const layout = { size, chunkBytes: chunkBytesFor(size, mode) };
    const count = chunkCount(layout);
    assert.ok(count <= MAX_CHUNKS);
    const last = count === 0 ? 0 : bytesOfChunk(layout, count - 1);
    assert.ok(last <= layout.chunkBytes);
    assert.equal(Math.max(0, count - 1) * layout.chunkBytes + last, size);
  }));
  assert.equal(chunkBytesFor(50_000_000, "reliable"), 65_500);
  assert.equal(chunkBytesFor(50_000_000, "partial"), 16_348);
});
