import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError, parseConfig } from "../../lib/config.ts";
import { PAGE_NAMES, parsePages } from "../../lib/pages.ts";

Deno.test("parsePages() reads a list, all and none", () => {
  for (
    const [text, pages] of [
      ["all", PAGE_NAMES],
      ["none", []],
      ["chat", ["chat"]],
      [" dashboard , console,dashboard", ["console", "dashboard"]],
    ] as const
  ) {
    assert.deepEqual(parsePages(text), pages, text);
  }
});

Deno.test("parsePages() reads the names of any pages in any order", () => {
  fc.assert(fc.property(fc.shuffledSubarray([...PAGE_NAMES], { minLength: 1 }), (pages) => {
    assert.deepEqual(new Set(parsePages(pages.join(","))), new Set(pages));
  }));
});

Deno.test("parsePages() names the page that it doesn't know", () => {
  for (
    const [text, unknown] of [
      ["console,docs", "docs"],
      ["Console", "Console"],
      ["all,chat", "all"],
      ["console,", ""],
      ["", ""],
    ] as const
  ) {
    assert.throws(() => parsePages(text), {
      message:
        `all, none, or a list such as console,chat: "${unknown}" is not one of the pages console, chat, call, drop, dashboard, lab`,
    });
  }
});

Deno.test("a server with keys serves the console and the dashboard, an open one every page", () => {
  const pagesWith = (env: Readonly<Record<string, string>>) => parseConfig(env).pages;
  assert.deepEqual(pagesWith({}), PAGE_NAMES);
  assert.deepEqual(pagesWith({ WEIR_JWKS: "keys.json" }), ["console", "dashboard"]);
  assert.deepEqual(pagesWith({ WEIR_ANONYMOUS: "subscribe:news" }), ["console", "dashboard"]);
  assert.deepEqual(pagesWith({ WEIR_JWKS: "keys.json", WEIR_PAGES: "all" }), PAGE_NAMES);
  assert.deepEqual(pagesWith({ WEIR_PAGES: "none" }), []);
});

Deno.test("an unknown page in WEIR_PAGES is a ConfigError", () => {
  assert.throws(() => parseConfig({ WEIR_PAGES: "console,docs" }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /^WEIR_PAGES must be all, none, or a list .* "docs" is not one/);
    return true;
  });
});
