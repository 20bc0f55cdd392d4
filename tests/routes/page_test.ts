import assert from "node:assert/strict";
import type { Hono } from "hono";
import { parseConfig } from "../../lib/config.ts";
import { createLogger } from "../../lib/logger.ts";
import { openWeir } from "../../lib/weir.ts";
import { createApp } from "../../routes/app.ts";

const HOST = { Host: "localhost" };

Deno.test("the page has a channel's newest events and a cursor before any script runs", async () => {
  await using weir = await openApp();
  for (let i = 1; i <= 60; i++) await weir.publish("demo", String(i));
  const response = await weir.get("/");
  const text = await response.text();
  assert.equal(response.status, 200);
  assert.deepEqual(dataOf(text), Array.from({ length: 50 }, (_, i) => String(60 - i)));
  assert.match(text, /<code>[0-9a-z]{9}_0000000000000060<\/code>/);
});

Deno.test("the page loads nothing but its own files", async () => {
  await using weir = await openApp();
  const response = await weir.get("/");
  const text = await response.text();
  const csp = response.headers.get("content-security-policy") ?? "";
  assert.match(csp, /^default-src 'none'; script-src 'self'; /);
  assert.doesNotMatch(csp, /unsafe|\*/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("cache-control"), "no-store");
  for (const [, path = ""] of text.matchAll(/(?:src|href)="([^"]*)"/g)) {
    const asset = await weir.get(path);
    assert.equal(asset.status, 200, path);
    await asset.body?.cancel();
  }
});

Deno.test("what is published cannot become markup of the page", async () => {
  await using weir = await openApp();
  const evil = `"</code></div><script>alert(1)</script>' onload='x`;
  await weir.publish("demo", JSON.stringify(evil));
  const text = await (await weir.get("/")).text();
  assert.equal(text.split("<script").length, 2); // the page's own
  assert.doesNotMatch(text, /<\/code><\/div><script/);
  const wrong = await weir.get(`/?channel=${encodeURIComponent(`"><script>\n</script>`)}`);
  assert.equal(wrong.status, 400);
  assert.doesNotMatch(await wrong.text(), /"><script>/);
});

Deno.test("the page says what is wrong with its query", async () => {
  await using weir = await openApp();
  for (
    const [path, says] of [
      ["/?channel=$x", "are the system&#39;s own|are the system's own"],
      [`/?channel=${"x".repeat(300)}`, "it is too long"],
      ["/?chanel=demo", "the query parameter &quot;chanel&quot;"],
      ["/?types=weir.gap", "as an event type"],
      [`/?types=${"a,".repeat(51)}`, "Cannot listen to 51 types"],
    ] as const
  ) {
    const response = await weir.get(path);
    assert.equal(response.status, 400, path);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.match(await response.text(), new RegExp(says));
  }
});

Deno.test("assets have their content type and are revalidated by their ETag", async () => {
  await using weir = await openApp();
  const types = {
    "live.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
  };
  for (const [name, type] of Object.entries(types)) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    const etag = response.headers.get("etag") ?? "";
    const again = await weir.get(`/assets/${name}`, { "If-None-Match": `"x", ${etag}` });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get("etag"), etag);
  }
});

Deno.test("there are no assets but those that are named", async () => {
  await using weir = await openApp();
  for (
    const name of [
      "deno.json",
      "..%2fdeno.json",
      "..%5cdeno.json",
      "%2e%2e%2fmain.ts",
      "live.js%00",
    ]
  ) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 404, name);
  }
});

interface TestApp extends AsyncDisposable {
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  publish(channel: string, json: string): Promise<void>;
}

async function openApp(): Promise<TestApp> {
  const logger = createLogger({ isPretty: false, write() {} });
  const weir = await openWeir(parseConfig({ WEIR_KV: ":memory:" }), logger);
  const app: Hono = createApp(weir);
  const url = (path: string) => `http://localhost${path}`;
  return {
    get: async (path, headers = {}) =>
      await app.request(url(path), { headers: { ...HOST, ...headers } }),
    async publish(channel, json) {
      const response = await app.request(url(`/v1/channels/${channel}/events`), {
        method: "POST",
        headers: { ...HOST, "Content-Type": "application/json" },
        body: json,
      });
      await response.body?.cancel();
      assert.equal(response.status, 201);
    },
    [Symbol.asyncDispose]: () => weir.close(),
  };
}

function dataOf(html: string): readonly string[] {
  return [...html.matchAll(/<code class="data">([^<]*)<\/code>/g)].map(([, data = ""]) => data);
}
