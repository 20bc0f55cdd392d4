import assert from "node:assert/strict";
import { keySourceOf } from "../../../lib/auth/key_source.ts";

Deno.test("keySourceOf() distinguishes text, URLs and paths", () => {
  assert.deepEqual(keySourceOf(` {"keys":[]} `), { kind: "inline", text: `{"keys":[]}` });
  assert.deepEqual(keySourceOf("https://a.example/jwks"), {
    kind: "url",
    url: "https://a.example/jwks",
  });
  for (const host of ["localhost", "127.0.0.1:80", "127.1", "[::1]:9"]) {
    assert.equal(keySourceOf(`http://${host}/jwks`).kind, "url", host);
  }
  assert.deepEqual(keySourceOf("/etc/keys.json"), { kind: "file", path: "/etc/keys.json" });
  assert.deepEqual(keySourceOf("./keys.json"), { kind: "file", path: "./keys.json" });
});

Deno.test("keySourceOf() rejects other settings without repeating them", () => {
  const settings = [
    "",
    "  ",
    "[secret]",
    `"secret"`,
    "http://secret.example/",
    "HTTP://127.0.0.1.secret/",
    "http://localhost.secret/",
    "https://",
    "https://user:secret@a.example/",
    "http://secret@localhost/",
  ];
  for (const setting of settings) {
    assert.throws(() => keySourceOf(setting), (cause: Error) => {
      assert.match(cause.message, /^WEIR_JWKS /, setting);
      assert.doesNotMatch(cause.message, /secret/);
      return true;
    });
  }
});
