import assert from "node:assert/strict";
import { browserTest } from "../support/browser_fixture.ts";
import { checkLooks } from "../support/pages.ts";

browserTest(
  "the documentation is linked from every page and accessible in every look",
  async ({ server, page, errors }) => {
    await page.goto(`${server.url}/lab`);
    await page.getByRole("link", { name: "Docs" }).click();
    await page.getByRole("heading", { name: "Documentation" }).waitFor();
    await checkLooks(page, "docs");
    await page.getByRole("link", { name: "protocol.md" }).click();
    await page.waitForURL(/\/docs\/protocol\.md$/);
    await checkLooks(page, "docs-protocol");
    await page.goto(`${server.url}/docs/client.md`);
    await checkLooks(page, "docs-client");
    await page.getByRole("link", { name: "API reference" }).click();
    await page.getByRole("heading", { name: "API reference" }).waitFor();
    await checkLooks(page, "docs-api");
    assert.deepEqual(errors, []);
  },
);
