import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  MAX_PATTERNS,
  MAX_STATE_BYTES,
  patternFault,
  PatternSet,
} from "../../../lib/auth/pattern.ts";

/** A pattern, names that it matches, names that it does not match. */
const EXAMPLES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["a", ["a"], ["", "b", "aa", "A", "a:", "*"]],
  ["*", ["", "a", "orders", "*", "😀"], ["a:b", "a/b", ":", "/", "$a"]],
  ["**", ["", "a", "a:b/c", ":", "/", "a$"], ["$a", "$"]],
  ["orders:*", ["orders:", "orders:1", "orders:1.2"], ["orders", "orders:1:2", "orders:1/2"]],
  ["orders/*", ["orders/", "orders/1"], ["orders:1", "orders/1/2", "orders/1:2"]],
  ["orders:**", ["orders:", "orders:1", "orders:1/2:3"], ["orders", "orders/1", "xorders:1"]],
  ["a*c", ["ac", "abc", "acc", "abcbc"], ["a", "c", "ab:c", "abcd"]],
  ["a**c", ["ac", "ab:c", "a/c", "a:c:c"], ["a:", "a:cd"]],
  ["*:*", [":", "a:b", "a:", ":b"], ["a", "a/b", "a:b:c"]],
  ["**/x", ["/x", "a/x", "a:b/x", "x/x"], ["x", "a/xy"]],
  ["*/x/**", ["a/x/", "/x/b:c/d"], ["a/b/x/", "a/x"]],
  ["$audit", ["$audit"], ["audit", "$audit2", "$"]],
  ["$*", ["$", "$audit"], ["a", "$a:b"]],
  ["$**", ["$", "$a:b"], ["a$", ""]],
  ["a.c", ["a.c"], ["abc"]],
  ["[ab]+(c|d)?\\d^$", ["[ab]+(c|d)?\\d^$"], ["ac", "a", "b0"]],
  ["😀", ["😀"], ["\ud83d", "\ude00", "😁"]],
  ["*😀", ["😀", "a😀", "😁😀"], ["😀:😀", "😁"]],
  ["é", ["é"], ["e\u0301", "É"]],
];

Deno.test("a pattern matches the listed names only", () => {
  for (const [pattern, right, wrong] of EXAMPLES) {
    const set = new PatternSet([pattern]);
    for (const name of right) assert.ok(set.matches(name), `${pattern} matches ${name}`);
    for (const name of wrong) assert.ok(!set.matches(name), `${pattern} doesn't match ${name}`);
  }
});

Deno.test("a set matches if any of its patterns does", () => {
  const set = new PatternSet(["a:*", "b", "$audit"]);
  for (const name of ["a:1", "b", "$audit"]) assert.ok(set.matches(name), name);
  for (const name of ["a", "b:1", "", "$", "ab", "a:1b:"]) assert.ok(!set.matches(name), name);
});

Deno.test("an empty set matches nothing", () => {
  const set = new PatternSet([]);
  for (const name of ["", "a", "$", "*", "**"]) assert.ok(!set.matches(name), name);
});

Deno.test("a set matches like a matcher that tries each pattern", () => {
  const text = (maxLength: number) =>
    fc.string({ unit: fc.constantFrom(..."ab:/*$"), maxLength, size: "max" });
  const patterns = fc.array(
    text(9).filter((pattern) => patternFault(pattern) === undefined),
    { maxLength: 5 },
  );
  // Random names, and names made from the patterns with a text for each wildcard.
  const names = fc.array(fc.oneof(text(7), fc.tuple(fc.nat(), text(3))), {
    maxLength: 30,
    size: "max",
  });
  let matched = 0;
  fc.assert(
    fc.property(patterns, names, (patterns, names) => {
      const set = new PatternSet(patterns);
      for (const one of names) {
        const name = typeof one === "string"
          ? one
          : fill(patterns[one[0] % patterns.length], one[1]);
        const expected = patterns.some((pattern) => modelMatches(pattern, name));
        if (expected) matched++;
        assert.equal(set.matches(name), expected, JSON.stringify({ patterns, name }));
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(matched > 5_000, `only ${matched} names matched`);
});

Deno.test("a set matches the same after a reset", () => {
  const patterns = Array.from({ length: 20 }, (_, i) => `**:a${":*".repeat(i)}*b`);
  const set = new PatternSet(patterns);
  let [restarts, before] = [0, 0];
  for (const text of namesOf("ab:", 300)) {
    assert.equal(set.matches(text), patterns.some((pattern) => modelMatches(pattern, text)), text);
    if (set.bytes < before) restarts++;
    before = set.bytes;
  }
  assert.ok(restarts > 0);
});

Deno.test("patterns full of wildcards cost at most their length per character", () => {
  // A backtracking matcher would not finish.
  const patterns = ["*a*a*a*a*a*a*b", "**a**a**a**a**a**a**b", `${"*a".repeat(120)}*b`];
  const set = new PatternSet(patterns);
  for (const name of ["a".repeat(256), "ab".repeat(127) + "aa", "a".repeat(255) + ":"]) {
    assert.equal(set.matches(name), false);
    assert.equal(set.matches(name.slice(0, 255) + "b"), true);
    // A wildcard makes the positions before it redundant: few stay for each pattern.
    assert.ok(set.bytes < 200_000, `it takes ${set.bytes} bytes`);
  }
});

Deno.test("the memory of a set stays bounded for any names", () => {
  const long = Array.from({ length: MAX_PATTERNS }, (_, i) => `**:a${":*".repeat(i)}`);
  const units = Array.from({ length: 100_000 }, (_, i) => String.fromCharCode(0x4e00 + i % 40_000));
  const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
    [["**"], units],
    [["*a*b:*c/**"], namesOf("abc:/", 100_000)],
    [long, namesOf("ab:", 100)],
  ];
  for (const [patterns, names] of cases) {
    const set = new PatternSet(patterns);
    // The initial memory and one more state.
    const most = MAX_STATE_BYTES + 2 * set.bytes + 1_000;
    for (const name of names) {
      set.matches(name);
      assert.ok(set.bytes <= most, `it takes ${set.bytes} bytes`);
    }
  }
});

Deno.test("patternFault() accepts channel names with at most two * in a row", () => {
  for (const pattern of ["a", "*", "**", "a:*/**", "$audit", "*a**b*", "x".repeat(256)]) {
    assert.equal(patternFault(pattern), undefined, pattern);
  }
  for (const pattern of ["", "***", "a****", "a\n", "\ud800", "x".repeat(257), ".", ".."]) {
    const fault = patternFault(pattern);
    assert.match(fault ?? "", /is not a channel pattern/);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(fault ?? "", /[\0-\x1f]/);
  }
});

function fill(pattern = "", text: string): string {
  return pattern.split(/\*+/).join(text);
}

function namesOf(alphabet: string, count: number): readonly string[] {
  const unit = fc.constantFrom(...alphabet);
  const name = fc.string({ unit, minLength: 40, maxLength: 80 });
  return fc.sample(name, { numRuns: count, seed: 1 });
}

/** Returns whether `name` matches, by trying each pair of positions. */
function modelMatches(pattern: string, name: string): boolean {
  if (name.startsWith("$") && !pattern.startsWith("$")) return false;
  const known = new Map<number, boolean>();
  const from = (p: number, n: number): boolean => {
    const key = p * 1_000 + n;
    const result = known.get(key) ?? tryFrom(p, n);
    known.set(key, result);
    return result;
  };
  const tryFrom = (p: number, n: number): boolean => {
    if (p === pattern.length) return n === name.length;
    if (pattern[p] !== "*") return pattern[p] === name[n] && from(p + 1, n + 1);
    const stars = pattern[p + 1] === "*" ? 2 : 1;
    if (from(p + stars, n)) return true;
    const isAllowed = stars === 2 || (name[n] !== ":" && name[n] !== "/");
    return n < name.length && isAllowed && from(p, n + 1);
  };
  return from(0, 0);
}
