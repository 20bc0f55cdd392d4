import assert from "node:assert/strict";
import fc from "fast-check";
import { channelOf, parseRoom, roomUrl } from "../../../islands/chat/room_name.ts";
import { directoryOf, readDirectory } from "../../../islands/chat/directory.ts";
import { peopleOf } from "../../../islands/chat/people.ts";
import { parseChannel, presenceChannel } from "../../../lib/shared/channel.ts";

Deno.test("parseRoom() trims a name and removes the number sign", () => {
  assert.deepEqual(parseRoom("  #night   shift "), { room: "night shift" });
  for (const text of ["", "  ", "#", "a\u0000b", "x\ud800", "é".repeat(200)]) {
    assert.ok("fault" in parseRoom(text), JSON.stringify(text));
  }
});

Deno.test("every room name is a valid channel with presence and has a URL", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 250 }), (text) => {
    const parsed = parseRoom(text);
    if ("fault" in parsed) return;
    presenceChannel(parseChannel(channelOf(parsed.room)));
    const url = new URL(roomUrl(parsed.room), "http://weir.test");
    assert.equal(url.searchParams.get("room"), parsed.room);
    assert.deepEqual(parseRoom(parsed.room), parsed);
  }));
});

Deno.test("the directory lists rooms and says whether there are more", () => {
  const channels = (...names: readonly string[]) => names.map((channel) => ({ channel }));
  assert.deepEqual(directoryOf({ channels: channels("chat:a", "chat:b", "demo"), next: "demo" }), {
    rooms: ["a", "b"],
    isWhole: true,
  });
  assert.deepEqual(directoryOf({ channels: channels("chat:a"), next: "chat:a" }), {
    rooms: ["a"],
    isWhole: false,
  });
  assert.deepEqual(directoryOf({ channels: [], next: null }), { rooms: [], isWhole: true });
});

Deno.test("a directory that fails to load says why", async () => {
  const refused = () => Promise.resolve(Response.json({ detail: "No." }, { status: 403 }));
  assert.deepEqual(await readDirectory(refused), { problem: "No." });
  const nobody = () => Promise.reject(new TypeError("Failed to fetch"));
  assert.deepEqual(await readDirectory(nobody), {
    problem: "Can't reach the server: Failed to fetch.",
  });
});

Deno.test("the visitor comes first in the list of people", () => {
  const since = "2026-11-21T03:13:58.566Z";
  const members = [
    { member: "xyz", data: { name: "Bob" }, since },
    { member: "~abc", data: null, since },
    { member: "abc", data: { name: "Ann" }, since },
  ];
  const names = (subject?: string) =>
    peopleOf(members, { member: "abc", subject }).map(({ name, isMe }) => `${name} ${isMe}`);
  assert.deepEqual(names(), ["~abc true", "Ann true", "Bob false"]);
  assert.deepEqual(names("xyz"), ["Bob true", "~abc false", "Ann false"]);
});
