import assert from "node:assert/strict";
import { readSource, sourceFiles } from "../support/source_files.ts";
import { clientsPage, LIBRARIES } from "./libraries.ts";

Deno.test("docs/clients.md is what the libraries and their programs make it", async () => {
  assert.equal(
    await readSource("docs/clients.md"),
    await clientsPage(),
    "Run `deno run -A tests/clients/write_page.ts`.",
  );
});

Deno.test("each program belongs to one library", async () => {
  const programs = (await sourceFiles("tests/clients", /\.(?:go|java|js|py|rs)$/))
    .map((path) => path.replace("tests/clients/", ""));
  assert.deepEqual(LIBRARIES.map(({ program }) => program).toSorted(), programs.toSorted());
});
