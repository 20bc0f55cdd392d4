import assert from "node:assert/strict";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { NpmProject } from "../support/npm_project.ts";
import { isMissing } from "../support/programs.ts";
import { FAKE_DEVICES } from "../support/rtc_site.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const PAGE = new URL("../../docs/webrtc.md", import.meta.url);
const NPM_MISSING = isMissing(["npm", "--version"], "npm is missing: it makes the package");
const MAX_LINES = 12;

Deno.test("the page of docs/webrtc.md is a call, with the package's minified modules", {
  ignore: CHROMIUM_MISSING || NPM_MISSING,
}, async () => {
  const [, code = ""] = /^```html\n(.*?)^```$/ms.exec(await Deno.readTextFile(PAGE)) ?? [];
  const [, script = ""] = /<script type="module">\n(.*)<\/script>/s.exec(code) ?? [];
  const lines = script.split("\n").filter((line) => line.trim() !== "");
  assert.ok(lines.length <= MAX_LINES, `${lines.length} lines`);
  assert.ok(code.includes("http://127.0.0.1:8000") && code.includes('member: "ann"'));
  await using project = await NpmProject.make();
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open(FAKE_DEVICES);
  const site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const [, name] = /\/([-\w.]+\.min\.js)$/.exec(url) ?? [];
    const html = `<link rel="icon" href="data:,">${code}`
      .replace("http://127.0.0.1:8000", server.url)
      .replace('member: "ann"', `member: "${url.split("/").at(-1)}"`);
    const body = name === undefined ? html : await Deno.readTextFile(project.client(name));
    const type = name === undefined ? "text/html" : "text/javascript";
    return new Response(body, { headers: { "Content-Type": type } });
  });
  try {
    const pages = [chromium.page, await chromium.newTab(), await chromium.newTab()];
    for (const [i, page] of pages.entries()) {
      await page.goto(`http://127.0.0.1:${site.addr.port}/m${i}`);
    }
    for (const page of pages) {
      await until("it shows the two others", () =>
        page.evaluate(() => {
          const videos = [...document.querySelectorAll("video")];
          return videos.length === 2 && videos.every(({ currentTime }) => currentTime > 0);
        }));
    }
    await pages[2]!.close();
    await until("it has left", async () => await pages[0]!.locator("video").count() === 1);
    assert.deepEqual(chromium.errors, []);
  } finally {
    await site.shutdown();
  }
});
