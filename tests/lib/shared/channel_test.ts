import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  channelKeyOf,
  channelOf,
  channelOfPresence,
  MAX_CHANNEL_BYTES,
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
