import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonCompactor } from "../../../lib/publish/json_compactor.ts";
import { Problem } from "../../../lib/shared/problem.ts";

type Options = ConstructorParameters<typeof JsonCompactor>[1];

function compact(text: string, chars: number, options: Partial<Options> = {}): string {
  const compactor = new JsonCompactor(text, { maxDepth: 64, keepsDigits: false, ...options });
  while (!compactor.isDone) compactor.advance(chars);
  return compactor.finish();
}

/** Returns the compact text, or undefined if it is refused. */
function compactOf(text: string, chars: number): string | undefined {
  try {
    return compact(text, chars);
  } catch (cause) {
    assert.ok(cause instanceof Problem && cause.code === "bad_json", String(cause));
    return undefined;
  }
}

/** Whether an object has names that `JSON.parse` merges or reorders. */
function hasPlainNames(text: string): boolean {
  const names = Array.from(text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:/g), ([, name]) => name ?? "");
  return new Set(names).size === names.length && !names.some((name) => /^\d|\\/.test(name));
}

const name = fc.string({ unit: fc.constantFrom(..."abcdefghijk\u00e9 "), maxLength: 6 });
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.jsonValue({ maxDepth: 0 }),
    fc.string({ unit: "binary", maxLength: 5 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(name, tie("tree"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const space = fc.constantFrom("", "", " ", "\n\t", "\r  ");
const json = fc.tuple(tree, space).map(([value, indent]) => JSON.stringify(value, null, indent));
const chars = fc.constantFrom(1, 3, 1_000);

Deno.test("JSON is compacted to what JavaScript writes, in parts of any size", () => {
  fc.assert(fc.property(json, space, chars, (text, around, chars) => {
    const expected = JSON.stringify(JSON.parse(text));
    assert.equal(compact(around + text + around, chars), expected);
  }));
});

Deno.test("all that JSON.parse refuses is refused, and nothing else", () => {
  const pieces = fc.array(
    fc.constantFrom(
      ...'[]{},:"\\ 01-+.eE\n\u0000u',
      ...["true", "false", "null", "nul", '"a"', '"b":', "[]", "{}", "12", '"\\u00e9"', "1e5"],
    ),
    { maxLength: 10 },
  );
  const damaged = fc.tuple(json, fc.nat(), pieces).map(([text, at, pieces]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + (pieces[0] ?? "") + text.slice(place + 1);
  });
  const texts = fc.oneof(pieces.map((pieces) => pieces.join("")), damaged)
    .map((text) => text.toWellFormed()); // as all decoded text is
  fc.assert(
    fc.property(texts, chars, (text, chars) => {
      let expected: string | undefined;
      try {
        expected = JSON.stringify(JSON.parse(text));
      } catch {
        // refused
      }
      const actual = compactOf(text, chars);
      if (expected === undefined || hasPlainNames(text)) assert.equal(actual, expected, text);
      else assert.deepEqual(JSON.parse(actual ?? ""), JSON.parse(expected), text);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("numbers and strings are written as JavaScript writes them", () => {
  const texts = [
    ["1.0", "1"],
    ["-0", "0"],
    ["-0.50", "-0.5"],
    ["1E3", "1000"],
    ["1e400", "null"],
    ["123456789012345", "123456789012345"],
    ["12345678901234567890", "12345678901234567000"],
    ['"\\u0041\\/"', '"A/"'],
    ['"\\ud800"', '"\\ud800"'],
    ['{"\\u0041":1}', '{"A":1}'],
  ] as const;
  for (const [text, expected] of texts) assert.equal(compact(text, 1), expected);
  for (const text of ["1.0", "-0", "1e400", "12345678901234567890"]) {
    assert.equal(compact(text, 1, { keepsDigits: true }), text);
  }
});

Deno.test("members of objects stay in their order, also repeated ones", () => {
  assert.equal(
    compact(' {"b": 1, "2": 2, "1": {"a":1,"a":2}} ', 1),
    '{"b":1,"2":2,"1":{"a":1,"a":2}}',
  );
});

Deno.test("onMember receives the members of the text's own object, with their places", () => {
  const text = ` { "a" : [ { "b" : 1 } ] , "\\u0062":"x\\/", "a": 1.0}`;
  for (const chars of [1, 1_000]) {
    const members: [string, number, number][] = [];
    const onMember = ({ name, from, to }: { name: string; from: number; to: number }) =>
      void members.push([name, from, to]);
    const result = compact(text, chars, { onMember });
    assert.deepEqual(
      members.map(([name, from, to]) => [name, result.slice(from, to)]),
      [["a", '[{"b":1}]'], ["b", '"x/"'], ["a", "1"]],
    );
  }
});

Deno.test("refusals tell the position, and deep JSON is refused", () => {
  const places = [["[1,]", 3], ["[1 2]", 3], ['{"a" 1}', 5], ["[01]", 2], ['["\n"]', 2]] as const;
  for (const [text, position] of places) {
    assert.throws(() => compact(text, 1), {
      code: "bad_json",
      detail: `Cannot read the JSON: unexpected at position ${position}.`,
    });
  }
  for (const text of ["", " ", "[", '{"a":', '"a', '["a']) {
    assert.throws(() => compact(text, 1), {
      code: "bad_json",
      detail: "Cannot read the JSON: it is incomplete or not JSON.",
    });
  }
  assert.equal(compact("[[]]", 1, { maxDepth: 2 }), "[[]]");
  assert.throws(() => compact("[[]]", 1, { maxDepth: 1 }), { detail: /more than 1 levels/ });
});
