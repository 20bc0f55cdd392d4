import assert from "node:assert/strict";
import { openApp } from "../support/page_app.ts";

Deno.test("assets have their content type and are revalidated by their ETag", async () => {
  await using weir = await openApp();
  const types = {
    "console.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "base.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
  };
  for (const [name, type] of Object.entries(types)) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    const etag = response.headers.get("etag") ?? "";
    const again = await weir.get(`/assets/${name}`, { "If-None-Match": `"x", ${etag}` });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get("etag"), etag);
  }
});

Deno.test("only known assets are served", async () => {
  await using weir = await openApp();
  for (
    const name of [
      "deno.json",
      "..%2fdeno.json",
      "..%5cdeno.json",
      "%2e%2e%2fmain.ts",
      "console.js%00",
    ]
  ) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 404, name);
  }
});
