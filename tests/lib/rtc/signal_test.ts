import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MAX_SIGNAL_BYTES, parseSignal, signalDraft } from "../../../lib/rtc/signal.ts";
import { memberIn } from "../../support/presence.ts";
import { problem } from "../../support/log_reading.ts";

const sender = {
  member: memberIn("room/7", "ann"),
  session: "a1",
  publisher: "ann",
  hasJoined: true,
};

Deno.test("a signal's data is stored as it was sent, below the members that the server sets", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.string({ unit: "grapheme" }), (data, name) => {
    const member = memberIn("room/7", `a${name}`);
    const signal = parseSignal({ to: "bob", data });
    const draft = signalDraft({ ...sender, member }, signal, "b1");
    assert.deepEqual(
      JSON.parse(String(draft.data)),
      JSON.parse(JSON.stringify({
        from: member.name,
        fromSession: "a1",
        to: "bob",
        toSession: "b1",
        data,
      })),
    );
  }));
});

Deno.test("data that looks like a sender's name changes nothing", () => {
  const data = { from: "eve", fromSession: "e1", data: '"},"from":"eve","data":{"' };
  const draft = signalDraft(sender, parseSignal({ to: "bob", data }), "b1");
  const { from, fromSession, data: delivered } = JSON.parse(String(draft.data));
  assert.deepEqual([from, fromSession, delivered], ["ann", "a1", data]);
});

Deno.test("a signal is in the inbox of its session, and expires after a minute", () => {
  const { channelKey, type, ttlMs, publisher, bytes, data } = signalDraft(
    { ...sender, session: undefined },
    parseSignal({ to: "b/ö", data: { candidate: null } }),
    "b1",
  );
  assert.equal(channelKey, "default/$signals:room/7/b%2F%C3%B6/b1");
  assert.deepEqual([type, ttlMs, publisher], ["signal", 60_000, "ann"]);
  const text = '{"from":"ann","to":"b/ö","toSession":"b1","data":{"candidate":null}}';
  assert.deepEqual([data, bytes], [text, new TextEncoder().encode(text).length]);
});

Deno.test("a signal's data has at most 65,536 bytes of JSON", () => {
  const fits = ["x".repeat(MAX_SIGNAL_BYTES - 2), "é".repeat(MAX_SIGNAL_BYTES / 2 - 1)];
  for (const data of fits) assert.equal(parseSignal({ to: "bob", data }).bytes, MAX_SIGNAL_BYTES);
  const large = [...fits.map((data) => `${data}x`), '"'.repeat(MAX_SIGNAL_BYTES / 2), [fits[0]]];
  for (const data of large) {
    assert.throws(() => parseSignal({ to: "bob", data }), problem("signal_too_large"));
  }
  const text = JSON.stringify(large[0]);
  assert.throws(() => parseSignal({ to: "bob", data: "" }, text), problem("signal_too_large"));
});

Deno.test("a signal is for a name that a member can have", () => {
  for (const to of ["", ".", "..", "x".repeat(257), "a\0b", "\ud800"]) {
    assert.throws(() => parseSignal({ to, data: 1 }), problem("bad_member"));
  }
});
