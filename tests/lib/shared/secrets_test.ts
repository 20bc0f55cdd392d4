import assert from "node:assert/strict";
import fc from "fast-check";
import type { Channel } from "../../../lib/shared/channel.ts";
import { formatCursor } from "../../../lib/shared/cursor.ts";
import { epochAt } from "../../../lib/shared/offset.ts";
import { Problem, quote } from "../../../lib/shared/problem.ts";
import { hasSecret, withoutSecrets } from "../../../lib/shared/secrets.ts";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
const KEY = `weir_${"a1B2c3D4e5F6".repeat(4)}xY`;
const TICKET = `wt_${"Z9y8X7w6".repeat(4)}`;

Deno.test("withoutSecrets() masks tokens, API keys and tickets anywhere in a text", () => {
  for (const secret of [JWT, KEY, TICKET]) {
    for (const text of [secret, `Bearer ${secret}`, `a=${secret}&b=1`, `"${secret}",`]) {
      assert.ok(hasSecret(text), text);
      assert.equal(withoutSecrets(text), text.replace(secret, "[secret]"));
      assert.ok(!quote(text).includes(secret.slice(8)));
      assert.ok(!new Problem("bad_body", text).message.includes(secret.slice(8)));
    }
    const cut = secret.slice(0, -10);
    assert.equal(withoutSecrets(cut), "[secret]");
  }
});

Deno.test("withoutSecrets() keeps other text unchanged", () => {
  for (
    const text of [
      "",
      "orders:7",
      "weir_short",
      "newt_a",
      "eyJust a word",
      "weir_server_and_more_words",
      "a.b.c",
      "…é日本",
    ]
  ) {
    assert.ok(!hasSecret(text), text);
    assert.equal(withoutSecrets(text), text);
  }
});

Deno.test("withoutSecrets() keeps cursors, even if they look like a secret", () => {
  const endsInTicket = epochAt(parseInt("0mwqg8ewt", 36));
  const endsInKey = epochAt(parseInt("0mwqgweir", 36));
  const channels = ["a", "b"] as Channel[];
  for (const epoch of [endsInTicket, endsInKey]) {
    const cursor = formatCursor(channels.slice(0, 1), [{ epoch, sequence: 1 }]);
    assert.ok(!hasSecret(cursor), cursor);
    assert.equal(quote(cursor), `"${cursor}"`);
  }
  const bytes = fc.uint8Array({ minLength: 24, maxLength: 48 });
  fc.assert(fc.property(bytes, fc.constantFrom("wt_", "weir_", "-wt_"), (rest, secret) => {
    const text = btoa(String.fromCharCode(...rest)).replaceAll(/[+/=]/g, "_");
    assert.ok(!hasSecret(`vAQ${text}${secret}${text}`));
  }));
});

Deno.test("withoutSecrets() takes linear time for long text that resembles secrets", () => {
  const steps = new Set<number>();
  for (const part of ["eyJ", "weir_", "wt_", "eyJ.", "weir_a", "a.", "."]) {
    const text = part.repeat(1_000_000 / part.length);
    const start = performance.now();
    withoutSecrets(text);
    steps.add(performance.now() - start);
  }
  // Quadratic work would take minutes, so the limit holds on any machine.
  assert.ok(Math.max(...steps) < 5_000, `${Math.max(...steps)} ms`);
});

Deno.test("a quoted text has no control characters, which a terminal would obey", () => {
  const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).join("");
  for (const part of [controls.slice(0, 0x40), controls.slice(0x40, 0x80), controls.slice(0x80)]) {
    assert.doesNotMatch(quote(part), /\p{Cc}/u);
    assert.equal(JSON.parse(quote(part)), part);
  }
});

Deno.test("a detail has a maximum length", () => {
  assert.equal(new Problem("bad_body", "x".repeat(1_000_000)).detail.length, 1_000);
  assert.equal(quote("x".repeat(1_000_000)).length, 83);
});
