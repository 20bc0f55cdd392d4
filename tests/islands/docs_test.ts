import assert from "node:assert/strict";
import { docPaths, renderDoc } from "../../islands/docs.ts";

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
