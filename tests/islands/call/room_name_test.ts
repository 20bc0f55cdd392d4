import assert from "node:assert/strict";
import fc from "fast-check";
import { channelOf, parseRoom, PATH } from "../../../islands/call/room_name.ts";
import { newRoomName, roomUrl } from "../../../islands/room_name.ts";
import { parseChannel } from "../../../lib/shared/channel.ts";

Deno.test("parseRoom() takes a name, or a link to a call", () => {
  assert.deepEqual(parseRoom(" #night  shift "), { room: "night shift" });
  assert.deepEqual(parseRoom("https://weir.test/call?room=a%20b"), { room: "a b" });
  assert.deepEqual(parseRoom("https://weir.test/x?room=a"), { room: "https://weir.test/x?room=a" });
  assert.ok("fault" in parseRoom(""));
  assert.ok("fault" in parseRoom("https://weir.test/call?room=%00"));
  assert.equal(newRoomName("Brisk Otter", "0123456789abcdef"), "brisk-otter-0123456789ab");
});

Deno.test("every call has a URL, and its inboxes have names", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 110 }), (text) => {
    const parsed = parseRoom(text);
    if ("fault" in parsed) return;
    const channel = channelOf(parsed.room);
    parseChannel(channel);
    const inbox = `$signals:${channel}/~${"m".repeat(32)}/${"s".repeat(32)}`;
    assert.ok(new TextEncoder().encode(inbox).length <= 256);
    const { href } = new URL(roomUrl(PATH, parsed.room), "http://weir.test");
    assert.deepEqual(parseRoom(href), parsed);
  }));
});
