import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  channelFault,
  channelKeyOf,
  channelOf,
  channelOfPresence,
  inboxChannel,
  MAX_CHANNEL_BYTES,
  ownerOfInbox,
  parseChannel,
  parseReadableChannel,
  presenceChannel,
  type Tenant,
  tenantOf,
} from "../../../lib/shared/channel.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { problem } from "../../support/log_reading.ts";

Deno.test("parseChannel() accepts names of 1 to 256 bytes of UTF-8", () => {
  const names = [
    "a",
    "orders:42",
    "a/b/c",
    "é",
    "😀",
    " ",
    "a$",
    "...",
    "a/..",
    "x".repeat(256),
    "😀".repeat(64),
  ];
  for (const name of names) assert.equal(parseChannel(name), name);
});

Deno.test("parseChannel() rejects names that are empty, too long, malformed or contain control characters", () => {
  const names = ["", "x".repeat(257), "€".repeat(86), "\ud800", "a\udc00b"];
  const controls = ["\0", "\n", "\r", "\t", "\x1f", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"];
  for (const name of [...names, ...controls, ...controls.map((c) => `a${c}b`)]) {
    assert.throws(() => parseChannel(name), problem("bad_channel"), JSON.stringify(name));
  }
});

Deno.test("parseChannel() rejects . and .., which URL parsers remove from paths", () => {
  for (const name of [".", ".."]) {
    assert.throws(() => parseChannel(name), problem("bad_channel"));
    assert.throws(() => parseReadableChannel(`$presence:${name}`), problem("bad_channel"));
  }
});

Deno.test("parseChannel() rejects reserved names, which start with $", () => {
  for (const name of ["$", "$presence"]) {
    assert.throws(() => parseChannel(name), problem("channel_reserved"));
  }
});

Deno.test("channelOfPresence() reverses presenceChannel()", () => {
  for (const name of ["a", "orders:42", "x".repeat(246)]) {
    const changes = presenceChannel(parseChannel(name));
    assert.equal(parseReadableChannel(changes), changes);
    assert.equal(channelOfPresence(changes), name);
    assert.throws(() => parseChannel(changes), problem("channel_reserved"));
  }
  assert.equal(channelOfPresence(parseChannel("presence:a")), undefined);
});

Deno.test("parseReadableChannel() rejects the presence channel of an invalid channel", () => {
  for (const name of ["", "x".repeat(247), "a\n", "\ud800"]) {
    assert.throws(() => parseReadableChannel(`$presence:${name}`), problem("bad_channel"));
  }
  for (const name of ["$presence:$audit", "$presence:$presence:a", "$presence", "$other"]) {
    assert.throws(() => parseReadableChannel(name), problem("channel_reserved"));
  }
});

Deno.test("parseChannel() returns any text unchanged or throws a Problem without control characters", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
    try {
      const channel = parseChannel(text);
      assert.equal(channel, text);
      assert.ok(new TextEncoder().encode(channel).length <= MAX_CHANNEL_BYTES);
    } catch (cause) {
      assert.ok(cause instanceof Problem);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(cause.message, /[\0-\x1f]/);
    }
  }));
});

Deno.test("tenantOf() and channelOf() split a channel key of any channel", () => {
  for (const channel of ["a", "a/b", "/", "//"]) {
    const channelKey = channelKeyOf("default" as Tenant, parseChannel(channel));
    assert.equal(channelOf(channelKey), channel);
    assert.equal(tenantOf(channelKey), "default");
  }
});

const NAME = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((name) => channelFault(name) === undefined);

Deno.test("an inbox is named by exactly one text, from which its owner can be read", () => {
  fc.assert(fc.property(
    fc.oneof(NAME, fc.constantFrom("a/b", "a/b/c", "/", "a/")),
    fc.oneof(NAME, fc.constantFrom("a/b", "%2F", "~ann", "a%", "$", "key:1", "<b>&\"'", "é")),
    fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    (channel, member, session) => {
      fc.pre(!channel.startsWith("$"));
      const owner = { channel: parseChannel(channel), member, session };
      const inbox = inboxChannel(owner);
      assert.deepEqual(ownerOfInbox(inbox), owner);
      assert.equal(parseReadableChannel(inbox), inbox);
      assert.throws(() => parseChannel(inbox), problem("channel_reserved"));
    },
  ));
});

Deno.test("an inbox has no other spelling, and needs all its parts", () => {
  const wrong = [
    "$signals:",
    "$signals:room",
    "$signals:room/ann",
    "$signals:room/ann/",
    "$signals:room/ann/a.b",
    "$signals:room/ann/é",
    `$signals:room/ann/${"s".repeat(65)}`,
    "$signals:/ann/s",
    "$signals:room//s",
    "$signals:../ann/s",
    "$signals:room/%61nn/s",
    "$signals:room/a%2fb/s",
    "$signals:room/é/s",
    "$signals:room/%/s",
    "$signals:room/%ff/s",
    "$signals:room/%ED%A0%80/s",
    "$signals:room/%00/s",
    "$signals:room/../s",
    "$signals:room/ann/s\n",
    "$signals:ro\0om/ann/s",
  ];
  for (const name of wrong) {
    assert.throws(() => parseReadableChannel(name), problem("bad_channel"), name);
  }
  for (const name of ["$signals:$audit/ann/s", "$signals:$signals:a/b/c/ann/s"]) {
    assert.throws(() => parseReadableChannel(name), problem("channel_reserved"), name);
  }
});

Deno.test("the name of an inbox has at most 256 bytes", () => {
  const session = "s".repeat(64);
  const channel = parseChannel("c".repeat(100));
  const longest = "m".repeat(256 - "$signals:".length - 100 - 2 - 64);
  assert.equal(inboxChannel({ channel, member: longest, session }).length, MAX_CHANNEL_BYTES);
  for (const member of [`${longest}m`, "é".repeat(longest.length / 6 + 1)]) {
    assert.throws(() => inboxChannel({ channel, member, session }), problem("bad_channel"));
  }
});
