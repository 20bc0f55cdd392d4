import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);

Deno.test("deploy.yml and the copy that GitHub runs are the same", async () => {
  const ours = await Deno.readTextFile(new URL("deploy.yml", ROOT));
  const theirs = await Deno.readTextFile(new URL(".github/workflows/deploy.yml", ROOT));
  assert.equal(theirs, ours);
});

Deno.test("all that deploy.yml includes is there", async () => {
  const text = await Deno.readTextFile(new URL("deploy.yml", ROOT));
  const [, list = ""] = /include: \|\n((?: {12}\S+\n)+)/.exec(text) ?? [];
  const included = list.trim().split(/\s+/);
  for (const path of included) await Deno.stat(new URL(path, ROOT));
  assert.ok(included.includes("main.ts") && included.includes("dist"));
});
