import assert from "node:assert/strict";
import { ASSETS_FOLDER } from "../../lib/assets.ts";
import { chatPage } from "../../routes/chat_page.ts";
import { consolePage } from "../../routes/console_page.ts";
import { dashboardPage } from "../../routes/dashboard_page.ts";
import { labPage } from "../../routes/lab_page.ts";

/** gzipped, of a page's JavaScript. */
const MAX_SCRIPT_BYTES = 45 * 1_024;

for (const { path, script } of [consolePage, chatPage, dashboardPage, labPage]) {
  Deno.test(`the script of ${path} is small`, async () => {
    const bytes = await Deno.readFile(new URL(script, ASSETS_FOLDER));
    const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    const { byteLength } = await new Response(packed).arrayBuffer();
    assert.ok(byteLength <= MAX_SCRIPT_BYTES, `${byteLength} bytes gzipped`);
  });
}
