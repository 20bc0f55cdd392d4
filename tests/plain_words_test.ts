import assert from "node:assert/strict";
import { readSource, sourceFiles } from "./support/source_files.ts";

/** Idioms that make a reader decode a sentence, and what to write instead. */
const IDIOMS: readonly { readonly idiom: RegExp; readonly instead: string }[] = [
  { idiom: /\bMet: /g, instead: "Guards against …" },
  { idiom: /\bat the (?:most|least)\b/gi, instead: "at most, at least" },
  { idiom: /\banew\b/gi, instead: "again" },
  { idiom: /\bnobody wants to know\b/gi, instead: "undefined" },
  { idiom: /\bnobody anything\b/gi, instead: "say who is not affected" },
  { idiom: /\bwhatever\b/gi, instead: "name it, or: any, always, even if" },
  { idiom: /\bwhoever\b/gi, instead: "name who" },
  { idiom: /\bbe had\b/gi, instead: "is available" },
  {
    idiom: /\b(?:it|this|that|which|and|,) is no (?!longer\b|more\b|t\b)/gi,
    instead: "is not a …",
  },
  { idiom: /\bby then\b/gi, instead: "say when" },
  { idiom: /\b(?:after|for) so long\b/gi, instead: "after this delay" },
  { idiom: /\b(?:is|are|was|were|be|been|being) told\b/gi, instead: "receives, is notified" },
  { idiom: /\bgo(?:es)? on\b/gi, instead: "continues" },
  { idiom: /\bsigns? of life\b/gi, instead: "heartbeat" },
  { idiom: /\bin vain\b/gi, instead: "timed out" },
  { idiom: /\bsees? to it\b/gi, instead: "makes sure" },
  { idiom: /\bbut for (?:a|an|the|what)\b/gi, instead: "except" },
  { idiom: /\bno Weir\b/g, instead: "not Weir" },
  { idiom: /\bmay so\b/gi, instead: "so … may" },
  { idiom: /\bbeside\b/gi, instead: "next to, in addition to, during" },
  {
    idiom: /(?<=^|[.*/] )Who (?:is|are|has|may|comes|brings|asks|wants|reads|looks)\b(?![^.]*\?)/gm,
    instead: "a subject that says who",
  },
];

/** Files that quote idioms, or describe past versions. */
const QUOTING = ["tests/plain_words_test.ts", "CHANGELOG.md"];

Deno.test("sources and docs are in plain English", async () => {
  const found: string[] = [];
  for (const path of await sourceFiles("", /\.(?:tsx?|m?js|md|css|html|py|sh|yml)$|^run$/)) {
    if (QUOTING.includes(path)) continue;
    const text = await readSource(path);
    for (const { line, phrase, instead } of idiomsOf(text)) {
      found.push(`${path}:${line}: "${phrase}". Write instead: ${instead}.`);
    }
  }
  assert.equal(found.length, 0, `Sentences to rewrite:\n${found.join("\n")}`);
});

Deno.test("an idiom is found in comments, strings and prose, across line breaks too", () => {
  const lines = (text: string) => idiomsOf(text).map(({ line }) => line);
  assert.deepEqual(lines("// Met: a flood.\nfoo();\n/** 5 at\n * the most. */"), [1, 3]);
  assert.deepEqual(lines('const text = "begins anew";'), [1]);
  assert.deepEqual(lines("Some prose\nthat goes\n  on."), [2]);
  assert.deepEqual(lines("> Who is told, and\n> told whatever"), [1, 2]);
});

Deno.test("plain English has no idioms", () => {
  const plain = [
    "Guards against floods: at most 5.",
    "The method: which is not a URL, is no longer called.",
    "const besideTheList = metadata;",
    "Who is here? Who is typing?",
    "Go on Deno Deploy.".replace("Go on", "Runs on"),
  ];
  assert.deepEqual(plain.flatMap(idiomsOf), []);
});

interface Found {
  readonly line: number;
  readonly phrase: string;
  readonly instead: string;
}

/** Returns the idioms of `text` in the order of its lines. */
function idiomsOf(text: string): readonly Found[] {
  // Joined lines keep their length, so that an index in the prose is one in the text.
  const prose = text.replace(
    /\n[ \t]*(?:\*(?!\/)|\/\/|>)?[ \t]*/g,
    (gap) => " ".repeat(gap.length),
  );
  return IDIOMS.flatMap(({ idiom, instead }) => {
    const flexible = new RegExp(idiom.source.replaceAll(" ", "\\s+"), idiom.flags);
    return [...prose.matchAll(flexible)].map(({ index, 0: phrase }) => ({
      line: text.slice(0, index).split("\n").length,
      phrase: phrase.replaceAll(/\s+/g, " "),
      instead,
    }));
  }).sort((a, b) => a.line - b.line);
}
