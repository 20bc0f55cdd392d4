import assert from "node:assert/strict";
import { ASSETS_FOLDER } from "../../lib/assets.ts";
import { PAGE_NAMES, type PageName } from "../../lib/pages.ts";

/** Bytes of a page's script, gzipped. The dashboard's script contains uPlot. */
const MAX_SCRIPT_BYTES: Readonly<Record<PageName, number>> = {
  console: 45 * 1_024,
  chat: 45 * 1_024,
  call: 45 * 1_024,
  drop: 45 * 1_024,
  dashboard: 48 * 1_024,
  lab: 45 * 1_024,
};

/**
 * Bytes of the client's part for files, gzipped: pages load it when the first transfer begins. The
 * way through the server and saving to a chosen file take 2.1 KiB of them.
 */
const MAX_FILES_BYTES = 12.25 * 1_024;

/** Bytes of the shared and the page's own style sheet, gzipped. */
const MAX_STYLE_BYTES = 7 * 1_024;

for (const page of PAGE_NAMES) {
  Deno.test(`the script of the page ${page} is small`, async () => {
    const bytes = await gzippedBytes(`${page}.js`);
    assert.ok(bytes <= MAX_SCRIPT_BYTES[page], `${bytes} bytes gzipped`);
  });

  Deno.test(`the style of the page ${page} is small`, async () => {
    const bytes = await gzippedBytes("base.css") + await gzippedBytes(`${page}.css`);
    assert.ok(bytes <= MAX_STYLE_BYTES, `${bytes} bytes gzipped`);
  });
}

Deno.test("the client's part for files is small and not in the pages' scripts", async () => {
  const bytes = await gzippedBytes("rtc_files.js");
  assert.ok(bytes <= MAX_FILES_BYTES, `${bytes} bytes gzipped`);
  const onlyInFiles = "getDirectoryHandle";
  assert.ok((await read("rtc_files.js")).includes(onlyInFiles));
  for (const page of PAGE_NAMES) {
    assert.ok(!(await read(`${page}.js`)).includes(onlyInFiles), page);
  }
});

async function read(asset: string): Promise<string> {
  return await Deno.readTextFile(new URL(asset, ASSETS_FOLDER));
}

async function gzippedBytes(asset: string): Promise<number> {
  const bytes = await Deno.readFile(new URL(asset, ASSETS_FOLDER));
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(packed).arrayBuffer()).byteLength;
}
