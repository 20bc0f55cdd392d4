import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";

/** Chromium delays further tries of a page whose first ones failed. */
const TRIES = 3;
const EVIL = "evil.example";

Deno.test(
  "a page of another origin cannot open WebTransport to a server that its visitor can reach",
  {
    ignore: CHROMIUM_MISSING,
  },
  async () => {
    await using site = blankSite();
    const { port } = site.addr;
    await using open = await LocalServer.start();
    await using keys = await guardedLocal();
    const { server: guarded } = keys;
    for (const weir of [open, guarded]) await weir.serveWebTransport();
    await using chromium = await Chromium.open([
      `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`,
      // Only such pages have WebTransport.
      `--unsafely-treat-insecure-origin-as-secure=http://${EVIL}:${port}`,
    ]);
    const { page } = chromium;

    const tries = async (from: string, weir: LocalServer, host: string) => {
      await page.goto(from);
      return await openings(page, weir, host);
    };
    // The same script gets in from a page of the server itself.
    for (const weir of [open, guarded]) {
      assert.equal(await tries(`${weir.url}/healthz`, weir, "127.0.0.1"), TRIES);
    }
    assert.equal(await tries(`http://localhost:${port}/`, guarded, "127.0.0.1"), 0);
    assert.equal(await tries(`http://localhost:${port}/`, guarded, "localhost"), 0);
    for (const weir of [open, guarded]) {
      assert.equal(await tries(`http://${EVIL}:${port}/`, weir, "127.0.0.1"), 0);
      assert.equal(await tries(`http://${EVIL}:${port}/`, weir, EVIL), 0); // DNS rebinding
    }
  },
);

/** Serves the attacker's page. */
function blankSite(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return new Response("<!doctype html>", { headers: { "Content-Type": "text/html" } });
  });
}

/** Returns how many of the page's tries succeeded. The page knows the hash of the certificate. */
async function openings(page: Page, weir: LocalServer, host: string): Promise<number> {
  const { quicOffer } = weir.server;
  const url = `https://${host}:${weir.webTransport.port}/v1/webtransport`;
  const hash = quicOffer.current?.certificateHash ?? "";
  return await page.evaluate(async ({ url, hash, count }) => {
    const value = Uint8Array.from(atob(hash), (char) => char.charCodeAt(0));
    const tries = Array.from({ length: count }, async () => {
      const transport = new WebTransport(url, {
        serverCertificateHashes: [{ algorithm: "sha-256", value }],
      });
      transport.closed.catch(() => {});
      await transport.ready;
      transport.close();
    });
    const results = await Promise.allSettled(tries);
    return results.filter(({ status }) => status === "fulfilled").length;
  }, { url, hash, count: TRIES });
}
