import assert from "node:assert/strict";
import fc from "fast-check";
import { newRoomName, parsePeerRoom, roomUrl } from "../../islands/room_name.ts";
import { channelOf, PATH } from "../../islands/drop/room_name.ts";
import { parseChannel } from "../../lib/shared/channel.ts";

Deno.test("parsePeerRoom() takes a name or a link to a room of the page", () => {
  const parse = (text: string) => parsePeerRoom(text, "/drop");
  assert.deepEqual(parse(" #night  shift "), { room: "night shift" });
  assert.deepEqual(parse("https://weir.test/drop?room=a%20b"), { room: "a b" });
  assert.deepEqual(parse("https://weir.test/drop"), { room: "https://weir.test/drop" });
  assert.deepEqual(parse("https://weir.test/x?room=a"), { room: "https://weir.test/x?room=a" });
  assert.ok("fault" in parse("https://weir.test/drop?room=%00"));
  assert.ok("fault" in parse("x".repeat(101)));
});

Deno.test("every name of a room has a URL, and leaves space for the name of an inbox", () => {
  const inbox = (channel: string) => `$signals:${channel}/${"m".repeat(33)}/${"s".repeat(64)}`;
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 110 }), (text) => {
    const parsed = parsePeerRoom(text, PATH);
    if ("fault" in parsed) return;
    parseChannel(channelOf(parsed.room));
    assert.ok(new TextEncoder().encode(inbox(channelOf(parsed.room))).length <= 256);
    const url = new URL(roomUrl(PATH, parsed.room), "http://weir.test");
    assert.deepEqual(parsePeerRoom(url.href, PATH), parsed);
  }));
});

Deno.test("newRoomName() joins words and random digits", () => {
  assert.equal(newRoomName("Brisk Otter", "0123456789abcdef"), "brisk-otter-0123456789ab");
});
