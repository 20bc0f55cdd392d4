import assert from "node:assert/strict";
import { PAGE_NAMES } from "../../lib/pages.ts";

const ISLANDS = new URL("../../islands/", import.meta.url);
const ROUTES = new URL("../../routes/", import.meta.url);
/** Matches classes of uPlot, which draws the dashboard's charts. */
const FOREIGN = /^(?:uplot|u-)/;

Deno.test("style sheets of pages share no root classes", async () => {
  const roots = await Promise.all(PAGE_NAMES.map(async (page) => rootsOf(await styleOf(page))));
  for (const [i, page] of PAGE_NAMES.entries()) {
    for (const [j, other] of PAGE_NAMES.entries()) {
      if (j <= i) continue;
      const both = [...roots[i] ?? []].filter((root) => roots[j]?.has(root));
      assert.deepEqual(both, [], `${page}.css and ${other}.css`);
    }
  }
});

Deno.test("every class in a style sheet is used by a page", async () => {
  const sources = [...await textsIn(ISLANDS, /\.tsx?$/), ...await textsIn(ROUTES, /\.tsx$/)];
  const words = new Set(sources.flatMap((text) => text.match(/[\w-]+/g) ?? []));
  const style = (await textsIn(ISLANDS, /\.css$/)).map(withoutComments).join("\n");
  const unused = [...classesIn(style)].filter((name) =>
    // `is-hue-${n}` in a source matches the class by its prefix `is-hue-`.
    !words.has(name) && !words.has(name.replace(/[^-]+$/, "")) && !FOREIGN.test(name)
  );
  assert.deepEqual(unused, []);
});

/** Reads a page's style sheets as one text. */
async function styleOf(page: string): Promise<string> {
  return (await textsIn(new URL(`${page}/`, ISLANDS), /\.css$/)).map(withoutComments).join("\n");
}

function withoutComments(style: string): string {
  return style.replaceAll(/\/\*[^]*?\*\//g, "");
}

/** Returns the first class of each selector. */
function rootsOf(style: string): ReadonlySet<string> {
  const selectors = (style.match(/[^{};]+(?=\{)/g) ?? []).flatMap((list) => list.split(","));
  return new Set(selectors.flatMap((selector) => /^\s*\.([\w-]+)/.exec(selector)?.[1] ?? []));
}

function classesIn(style: string): ReadonlySet<string> {
  const selectors = (style.match(/[^{};]+(?=\{)/g) ?? []).join("\n");
  return new Set([...selectors.matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name ?? ""));
}

async function textsIn(folder: URL, wanted: RegExp): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) texts.push(...await textsIn(new URL(`${name}/`, folder), wanted));
    else if (wanted.test(name)) texts.push(await Deno.readTextFile(new URL(name, folder)));
  }
  return texts;
}
