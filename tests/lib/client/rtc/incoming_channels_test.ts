import assert from "node:assert/strict";
import { IncomingChannels } from "../../../../lib/client/rtc/channels.ts";

/** The part of a data channel that is used here. */
class FakeChannel extends EventTarget {
  binaryType = "";
  isClosed = false;

  constructor(readonly label: string) {
    super();
  }

  receive(data: string | ArrayBuffer): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  close(): void {
    this.isClosed = true;
    this.dispatchEvent(new Event("close"));
  }
}

function add(channels: IncomingChannels, label: string): FakeChannel {
  const channel = new FakeChannel(label);
  channels.add(channel as unknown as RTCDataChannel);
  return channel;
}

Deno.test("channels and their messages wait for the listener of their label", () => {
  const channels = new IncomingChannels();
  const [a, b] = [add(channels, "a"), add(channels, "b")];
  a.receive("1");
  b.receive("2");
  a.receive(new ArrayBuffer(3));
  const got: unknown[] = [];
  channels.listen((label) => label === "a", (channel) => {
    channel.addEventListener("message", ({ data }) => got.push(data));
  });
  a.receive("4");
  assert.deepEqual(got, ["1", new ArrayBuffer(3), "4"]);
  assert.equal(b.isClosed, false);
});

Deno.test("a peer cannot fill the memory with channels that nobody takes", () => {
  const channels = new IncomingChannels();
  const added = Array.from({ length: 300 }, (_, i) => add(channels, `${i}`));
  assert.equal(added.filter(({ isClosed }) => !isClosed).length, 256);
  added[0]?.close();
  assert.equal(add(channels, "next").isClosed, false);
});

Deno.test("a peer cannot fill the memory with messages that nobody takes", () => {
  const channels = new IncomingChannels();
  const [many, large] = [add(channels, "many"), add(channels, "large")];
  for (let i = 0; i < 256; i++) many.receive("x");
  assert.equal(many.isClosed, false);
  many.receive("x");
  assert.equal(many.isClosed, true);
  for (let i = 0; i < 16; i++) large.receive(new ArrayBuffer(2 ** 18));
  assert.equal(large.isClosed, false);
  large.receive("x");
  assert.equal(large.isClosed, true);
  // What was closed no longer counts.
  const next = add(channels, "next");
  for (let i = 0; i < 16; i++) next.receive(new ArrayBuffer(2 ** 18));
  assert.equal(next.isClosed, false);
});
