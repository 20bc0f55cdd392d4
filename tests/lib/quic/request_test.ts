import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { closeCapsule } from "../../../lib/quic/capsule.ts";
import { dataFrame, FRAME, headersFrame } from "../../../lib/quic/frame.ts";
import type { Field } from "../../../lib/quic/qpack.ts";
import { parseRequest } from "../../../lib/quic/request.ts";
import { RequestReader } from "../../../lib/quic/request_reader.ts";
import { changed, chunksOf, code, type Cuts, cuts } from "./codes.ts";

const CONNECT: readonly Field[] = [
  [":method", "CONNECT"],
  [":scheme", "https"],
  [":authority", "weir.example:4433"],
  [":path", "/v1/webtransport?ticket=wt_1"],
  [":protocol", "webtransport"],
];

/** Returns the fields of a CONNECT with one replaced, added or removed. */
function connectWith(name: string, value: string | undefined): readonly Field[] {
  const others = CONNECT.filter((field) => field[0] !== name);
  return value === undefined ? others : [...others, [name, value]];
}

Deno.test("a CONNECT for WebTransport is parsed", () => {
  const request = parseRequest([
    ...CONNECT,
    ["origin", "https://app.example"],
    ["user-agent", "x"],
    ["accept", "a"],
    ["accept", "b"],
  ]);
  assert.deepEqual(request, {
    isWebTransport: true,
    path: "/v1/webtransport?ticket=wt_1",
    authority: "weir.example:4433",
    origin: "https://app.example",
    headers: new Map([["user-agent", "x"], ["accept", "a, b"]]),
  });
  const later = parseRequest(connectWith(":protocol", "webtransport-h3"));
  assert.ok(later.isWebTransport && later.origin === undefined);
});

Deno.test("other requests get a status", () => {
  const status = (fields: readonly Field[]) => {
    const request = parseRequest(fields);
    return request.isWebTransport ? 200 : request.status;
  };
  const get = CONNECT.filter(([name]) => name !== ":protocol" && name !== ":method");
  assert.equal(status([[":method", "GET"], ...get]), 404);
  assert.equal(status(connectWith(":protocol", "websocket")), 501);
  assert.equal(status([[":method", "CONNECT"], [":authority", "x:1"]]), 501);
});

Deno.test("malformed requests are refused", () => {
  const malformed: readonly (readonly Field[])[] = [
    [],
    ...CONNECT.slice(0, 4).map(([name]) => connectWith(name, undefined)),
    ...CONNECT.map((field) => [...CONNECT, field]),
    [["user-agent", "x"], ...CONNECT],
    ...[":status", ":Path", ":", ""].map((name) => [...CONNECT, [name, "1"] as const]),
    ...["Origin", "a b", "connection", "transfer-encoding", "upgrade", "é"]
      .map((name) => [...CONNECT, [name, "1"] as const]),
    ...["a\rb", "a\nb", "a\0b", " a", "a ", "\x7f"].map((value) =>
      [...CONNECT, ["x", value]] as const
    ),
    ...["", "x", "//\n", "/ü", "/ ", "http://x/"].map((path) => connectWith(":path", path)),
    ...["", "a@b", "a/b", "a b"].map((authority) => connectWith(":authority", authority)),
    connectWith(":scheme", "http"),
    connectWith(":method", "GET"),
  ];
  for (const fields of malformed) {
    assert.equal(code(() => parseRequest(fields)), "MESSAGE_ERROR", JSON.stringify(fields));
  }
});

Deno.test("any fields are parsed or throw a typed error", () => {
  const name = fc.oneof(fc.constantFrom(...CONNECT.map(([name]) => name)), fc.string());
  const value = fc.oneof(fc.constantFrom(...CONNECT.map(([, value]) => value)), fc.string());
  fc.assert(fc.property(fc.array(fc.tuple(name, value)), (fields) => {
    code(() => parseRequest(fields));
  }));
});

/** Reads a request stream. `end` says whether it ends. */
function read(bytes: Uint8Array, { cuts = [], end = false }: {
  readonly cuts?: Cuts;
  readonly end?: boolean;
} = {}): RequestReader {
  const reader = new RequestReader();
  for (const chunk of chunksOf(bytes, cuts)) reader.push(chunk);
  if (end) reader.end();
  return reader;
}

const HEADERS = headersFrame(CONNECT);
const CLOSE = closeCapsule({ code: 5, reason: "bye" });
const GREASE = encodeBlock(0x21, Uint8Array.of(1, 2));

Deno.test("a session's request and its close are read in chunks of any size", () => {
  // The capsule is split into two DATA frames.
  const data = [dataFrame(CLOSE.subarray(0, 3)), GREASE, dataFrame(CLOSE.subarray(3))];
  const bytes = concat(GREASE, HEADERS, ...data);
  fc.assert(fc.property(cuts, (cuts) => {
    const { request, close } = read(bytes, { cuts, end: true });
    assert.ok(request?.isWebTransport);
    assert.deepEqual(close, { code: 5, reason: "bye" });
  }));
});

Deno.test("frames that must not come on a request stream are refused", () => {
  const empty = new Uint8Array();
  for (const type of [FRAME.SETTINGS, FRAME.CANCEL_PUSH, FRAME.PUSH_PROMISE, FRAME.GOAWAY, 0x0d]) {
    assert.equal(code(() => read(encodeBlock(type, empty))), "FRAME_UNEXPECTED");
  }
  for (const type of [0x02, 0x06, 0x08, 0x09]) {
    assert.equal(code(() => read(concat(HEADERS, encodeBlock(type, empty)))), "FRAME_UNEXPECTED");
  }
  assert.equal(code(() => read(dataFrame(CLOSE))), "FRAME_UNEXPECTED");
  assert.equal(code(() => read(concat(HEADERS, HEADERS))), "FRAME_UNEXPECTED");
});

Deno.test("a request stream that ends too early is refused", () => {
  assert.equal(code(() => read(GREASE, { end: true })), "REQUEST_INCOMPLETE");
  assert.equal(code(() => read(HEADERS.subarray(0, 9), { end: true })), "FRAME_ERROR");
  const cut = concat(HEADERS, dataFrame(CLOSE.subarray(0, 4)));
  assert.equal(code(() => read(cut, { end: true })), "MESSAGE_ERROR");
  assert.equal(code(() => read(HEADERS, { end: true })), undefined);
});

Deno.test("a HEADERS frame that is too large is refused when its length arrives", () => {
  assert.equal(code(() => read(Uint8Array.fromHex("01bfffffff"))), "EXCESSIVE_LOAD");
});

Deno.test("random and changed request streams in any chunks throw typed errors only", () => {
  const valid = fc.constant(concat(GREASE, HEADERS, dataFrame(CLOSE)));
  const input = fc.oneof(fc.uint8Array(), changed(valid));
  fc.assert(fc.property(input, cuts, fc.boolean(), (bytes, cuts, end) => {
    code(() => read(bytes, { cuts, end }));
  }));
});
