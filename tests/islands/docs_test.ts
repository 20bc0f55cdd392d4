import assert from "node:assert/strict";
import { docList, docPaths, renderDoc, servedMarkdown } from "../../islands/docs.ts";

const DOCS = new URL("../../docs/", import.meta.url);

Deno.test("Markdown becomes HTML with anchors, and without links that lead out of docs/", () => {
  const markdown =
    "# `a()` & b\n\n[c](client.md#x) [d](../README.md) [e](https://weir.example)\n\n" +
    "```ts\nif (a < b) c();\n```\n";
  const html = renderDoc("page", markdown);
  assert.match(html, /<h1 id="a--b"><code>a\(\)<\/code> &amp; b<\/h1>/);
  assert.match(html, /<a href="client\.md#x">c<\/a> d <a href="https:\/\/weir\.example">e<\/a>/);
  assert.match(html, /<code>if \(a &lt; b\) c\(\);<\/code>/);
  assert.match(renderDoc("folder/page", markdown), /<a href="..\/README\.md">d<\/a>/);
});

Deno.test("every link in the rendered documentation leads to a page and a heading", async () => {
  const pages = new Map<string, string>();
  for (const path of await docPaths()) {
    const markdown = await Deno.readTextFile(new URL(`${path}.md`, DOCS));
    pages.set(`/docs/${path}.md`, renderDoc(path, markdown));
  }
  const broken: string[] = [];
  for (const [page, html] of pages) {
    for (const [, href = ""] of html.matchAll(/<a href="([^"]+)"/g)) {
      const { host, pathname, hash } = new URL(href, `http://weir.test${page}`);
      if (host !== "weir.test") continue;
      const target = pages.get(pathname);
      const isThere = target !== undefined &&
        (hash === "" || target.includes(` id="${hash.slice(1)}"`));
      if (!isThere) broken.push(`${page}: ${href}`);
    }
  }
  assert.ok(pages.size > 5);
  assert.deepEqual(broken, []);
});

Deno.test("every link in the Markdown of the documentation leads to a page", async () => {
  const paths = await docPaths();
  let links = 0;
  for (const path of paths) {
    const markdown = await Deno.readTextFile(new URL(`${path}.md`, DOCS));
    for (const [, href = ""] of servedMarkdown(path, markdown).matchAll(/\]\(([^)\s]+)\)/g)) {
      const { host, pathname } = new URL(href, `http://weir.test/docs/${path}.md`);
      if (host !== "weir.test" || pathname.startsWith("/docs/images/")) continue;
      links++;
      const target = /^\/docs\/(.+)\.md$/.exec(pathname)?.[1];
      assert.ok(target !== undefined && paths.includes(target), `${path}: ${href}`);
    }
  }
  assert.ok(links > 50);
});

Deno.test("Markdown keeps its code, and loses links that lead out of docs/", () => {
  const markdown = "[a](client.md#x) [b](../README.md)\n\n```ts\nx[0](y)\n```\n\n[c](/none)\n";
  assert.equal(
    servedMarkdown("page", markdown),
    "[a](client.md#x) b\n\n```ts\nx[0](y)\n```\n\nc\n",
  );
});

Deno.test("the list for language models names every page with its title and first sentence", () => {
  const pages = new Map([
    ["client", "# The client\n\nReads [events](x.md)\nof channels. And more.\n"],
    ["guides/move", "# Move\n\nShort:\n\n- a\n"],
  ]);
  const list = docList(pages);
  assert.match(list, /^# Weir\n\n> /);
  assert.match(list, /\n- \[The client\]\(\/docs\/client\.md\): Reads events of channels\.\n/);
  assert.match(list, /\n- \[Move\]\(\/docs\/guides\/move\.md\): Short\.\n/);
  assert.match(list, /\(\/openapi\.json\)/);
});
