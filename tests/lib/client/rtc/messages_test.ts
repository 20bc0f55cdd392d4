import assert from "node:assert/strict";
import { checkMessage, MessageQueue } from "../../../../lib/client/rtc/messages.ts";

class FakeChannel {
  readyState = "connecting";
  readonly sent: unknown[] = [];
  send(data: unknown): void {
    if (this.sent.length === 3) throw new DOMException("full", "OperationError");
    this.sent.push(data);
  }
}

function open(): { readonly fake: FakeChannel; readonly channel: RTCDataChannel } {
  const fake = new FakeChannel();
  return { fake, channel: fake as unknown as RTCDataChannel };
}

Deno.test("messages wait for the channel, as they were, and keep their order", () => {
  const { fake, channel } = open();
  const queue = new MessageQueue();
  const bytes = new Uint8Array([1]);
  queue.send(channel, bytes);
  bytes[0] = 2;
  queue.send(channel, "second");
  assert.deepEqual(fake.sent, []);
  fake.readyState = "open";
  queue.flush(channel);
  queue.send(channel, "third");
  assert.deepEqual(fake.sent, [new Uint8Array([1]), "second", "third"]);
  assert.throws(() => queue.send(channel, "fourth"), { code: "send_queue_full" });
});

Deno.test("a queue has room for 1,000 messages and 4 MiB", () => {
  const { channel } = open();
  const many = new MessageQueue();
  for (let i = 0; i < 1_000; i++) many.send(channel, "x");
  assert.throws(() => many.send(channel, "x"), { code: "send_queue_full" });
  many.clear();
  const large = new Uint8Array(256 * 1024 - 1);
  for (let i = 0; i < 16; i++) many.send(channel, large);
  assert.throws(() => many.send(channel, large), { code: "send_queue_full" });
});

Deno.test("a message has at most 256 KiB less a byte, of UTF-8 if it is text", () => {
  const limit = 256 * 1024 - 1;
  for (const data of ["x".repeat(limit), "ä".repeat(limit >> 1), new Uint8Array(limit)]) {
    checkMessage(data);
  }
  for (const data of ["x".repeat(limit + 1), "ä".repeat(limit), new Uint8Array(limit + 1)]) {
    assert.throws(() => checkMessage(data), { code: "message_too_large" });
  }
});
