import assert from "node:assert/strict";
import { readSource } from "./support/source_files.ts";

/** Files that name the version of Deno. */
const PLACES = ["deploy.yml", ".ci/run", "README.md", "CONTRIBUTING.md", "package/server/pack.ts"];

const WORKFLOW = ".github/workflows/deploy.yml";

Deno.test("deploy.yml and the copy that GitHub runs are identical", async () => {
  assert.equal(await readSource(WORKFLOW), await readSource("deploy.yml"));
});

Deno.test("deploy.yml runs only tasks that exist, and deploys with the tool of the platform", async () => {
  const text = await readSource("deploy.yml");
  const { tasks } = JSON.parse(await readSource("deno.json"));
  const used = [...text.matchAll(/run: deno task (\S+)/g)].map(([, name = ""]) => name);
  assert.deepEqual(used, ["build"]);
  assert.ok(used.every((name) => Object.hasOwn(tasks, name)));
  assert.match(text, /run: \.ci\/run\n[\s\S]*run: deno deploy --prod /);
  await Deno.stat(new URL("../main.ts", import.meta.url));
});

Deno.test("every place names the same version of Deno", async () => {
  const versions = new Set<string>();
  for (const path of PLACES) {
    const text = await readSource(path);
    const found = [
      ...text.matchAll(/(?:deno@|deno-version: |DENO_VERSION=|deno: ")(\d+\.\d+\.\d+)/g),
    ];
    assert.ok(found.length > 0, `${path} names no version`);
    for (const [, version = ""] of found) versions.add(version);
  }
  assert.equal(versions.size, 1, [...versions].join(", "));
});
