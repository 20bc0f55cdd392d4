import assert from "node:assert/strict";
import { readSource, sourceFiles } from "../support/source_files.ts";

Deno.test("docs/deploy.md names every file and folder of deploy/", async () => {
  const page = await readSource("docs/deploy.md");
  for await (const { name } of Deno.readDir(new URL("../../deploy/", import.meta.url))) {
    assert.ok(page.includes(`deploy/${name}`), `${name} is not on the page`);
  }
});

Deno.test("links between the pages and to files lead to files of the repository", async () => {
  const broken: string[] = [];
  for (const path of await sourceFiles("", /\.md$/)) {
    for (const [, href = ""] of (await readSource(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      const { protocol, pathname } = new URL(href, `weir:///${path}`);
      if (protocol !== "weir:") continue;
      const exists = await Deno.stat(new URL(`../..${pathname}`, import.meta.url))
        .then(() => true, () => false);
      if (!exists) broken.push(`${path}: ${href}`);
    }
  }
  assert.deepEqual(broken, []);
});
