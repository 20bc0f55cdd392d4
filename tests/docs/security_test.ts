import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

Deno.test("the tests that SECURITY.md names are there", async () => {
  const page = await Deno.readTextFile(new URL("SECURITY.md", ROOT));
  const rows = page.split("\n").filter((line) => line.startsWith("| ") && line.includes("`tests/"));
  assert.ok(rows.length > 30, `only ${rows.length} rows name tests`);
  for (const row of rows) {
    // Titles, then the file that has them.
    for (
      const [, titles = "", path = ""] of row.matchAll(/((?:"[^"]+",? )*)\(?`(tests\/[^`]+)`/g)
    ) {
      const source = await Deno.readTextFile(new URL(path, ROOT));
      for (const [, title = ""] of titles.matchAll(/"([^"]+)"/g)) {
        assert.ok(source.includes(title), `${path} has no test with ${title}`);
      }
    }
  }
});

Deno.test("each threat in SECURITY.md has a test", async () => {
  const page = await Deno.readTextFile(new URL("SECURITY.md", ROOT));
  const [, tables = ""] = /^## Threat model\n(.*?)^## Out of scope/ms.exec(page) ?? [];
  const rows = tables.split("\n").filter((line) => /^\| (?!-|tries|has )/.test(line));
  assert.ok(rows.length > 30);
  for (const row of rows) assert.match(row, /`(tests|bench)\/[^`]+`/);
});
