import assert from "node:assert/strict";
import { MAX_STATE_BYTES, PatternSet } from "../../../lib/auth/pattern.ts";
import { cachedPatterns, PatternCache } from "../../../lib/auth/pattern_cache.ts";

const NAMES = Array.from({ length: 100 }, (_, i) => `made-up/${i}/${"ab".repeat(i % 20)}/name`);

function askAll(cache: PatternCache, ...patterns: readonly string[]): readonly boolean[] {
  const cached = cachedPatterns(patterns);
  return NAMES.map((name) => cache.matches(cached, name));
}

Deno.test("credentials with the same patterns share a set", () => {
  const cache = new PatternCache();
  const found = askAll(cache, "*a*b", "**x*y*", "made-up/1*/**");
  const { bytes } = cache;
  for (let i = 0; i < 1_000; i++) askAll(cache, "*a*b", "**x*y*", "made-up/1*/**");
  assert.deepEqual([cache.bytes, cache.size], [bytes, 1]);
  assert.deepEqual(askAll(cache, "*a*b", "**x*y*", "made-up/1*/**"), found);
});

Deno.test("other patterns and other groupings do not share a set", () => {
  const cache = new PatternCache();
  for (const patterns of [["a", "b"], ["ab"], ["a"], ["b"], []]) {
    const matched = ["a", "b", "ab"].filter((name) =>
      cache.matches(cachedPatterns(patterns), name)
    );
    assert.deepEqual(matched, patterns);
  }
});

Deno.test("an empty list of patterns needs no set", () => {
  const cache = new PatternCache();
  assert.ok(askAll(cache).every((isMatch) => !isMatch));
  assert.deepEqual([cache.bytes, cache.size], [0, 0]);
});

Deno.test("the memory of all sets stays bounded, and results are the same", () => {
  const one = new PatternCache();
  askAll(one, "made-up/0/**", "*a*b");
  const max = 10 * one.bytes;
  const cache = new PatternCache(max);
  for (let i = 0; i < 200; i++) {
    const patterns = [`made-up/${i % 50}/**`, "*a*b"];
    const set = new PatternSet(patterns);
    assert.deepEqual(askAll(cache, ...patterns), NAMES.map((name) => set.matches(name)));
    assert.ok(cache.bytes <= max, `${cache.bytes} bytes`);
  }
  assert.ok(cache.size > 1);
});

Deno.test("evicts the least recently used sets", () => {
  const [first, second, third] = ["made-up/1/**", "made-up/22/**", "made-up/333/**"] as const;
  const bytesOf = (...patterns: readonly string[]) => {
    const cache = new PatternCache();
    for (const pattern of patterns) askAll(cache, pattern);
    return cache.bytes;
  };
  const all = bytesOf(first, second, third);
  const cache = new PatternCache(all);
  for (const pattern of [first, second, first, third]) askAll(cache, pattern);
  assert.equal(cache.bytes, all);
  askAll(cache, "x"); // too much: a quarter and more makes room for a while
  assert.equal(cache.bytes, bytesOf(first, third, "x"));
});

Deno.test("does not keep a set that is too large alone", () => {
  const cache = new PatternCache(100);
  assert.equal(cache.matches(cachedPatterns(["a*"]), "ab"), true);
  assert.deepEqual([cache.bytes, cache.size], [0, 0]);
});

Deno.test("counts the memory of a set that was reset", () => {
  const cache = new PatternCache();
  const any = cachedPatterns(["**"]);
  for (let i = 0; i < 40_000; i++) cache.matches(any, String.fromCharCode(0x4e00 + i));
  const most = MAX_STATE_BYTES + 10_000;
  assert.ok(cache.bytes > 0 && cache.bytes < most, `${cache.bytes} bytes`);
});
