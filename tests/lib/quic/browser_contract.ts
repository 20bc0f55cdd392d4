import assert from "node:assert/strict";
import { serveWebTransport, type WebTransportServerOptions } from "../../../lib/quic/server.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { certificateHash } from "../../support/quic_certificate.ts";
import { DatagramRelay } from "../../support/datagram_relay.ts";
import { until } from "../../support/until.ts";
import { Echo } from "./echo_handler.ts";

/** A page of a browser. */
export interface BrowserPage {
  /** Runs the body of an async function in the page, and returns what it returns, as JSON. */
  run(body: string): Promise<unknown>;
  /** Opens another page in its place. */
  navigate(url: string): Promise<void>;
}

/** A page that is loaded, of a browser that is closed with it. */
export type OpenPage = (url: string) => Promise<BrowserPage & AsyncDisposable>;

/** Scripts of the page. `connect` opens a session of the server. */
const PAGE = (port: number, hash: readonly number[]) =>
  `<!doctype html><title>page</title><script>
const encode = (text) => new TextEncoder().encode(text);
const connect = (path) => {
  const value = Uint8Array.from(${JSON.stringify(hash)});
  return new WebTransport("https://127.0.0.1:${port}" + path, {
    serverCertificateHashes: [{ algorithm: "sha-256", value }],
  });
};
const readAll = async (readable) => {
  let text = "";
  for (const reader = readable.pipeThrough(new TextDecoderStream()).getReader();;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
  }
};
</script>`;

interface BrowserWorld {
  readonly page: BrowserPage;
  readonly echo: Echo;
  /** Between the browser and the server. */
  readonly relay: DatagramRelay;
}

/** Runs a test with a server and a page whose `connect()` opens sessions of it. */
export async function withPage(
  open: OpenPage,
  run: (world: BrowserWorld) => Promise<void>,
): Promise<void> {
  const pair = await makeCertificate();
  const { value } = await certificateHash(pair);
  const echo = new Echo();
  const options: WebTransportServerOptions = {
    hostname: "127.0.0.1",
    port: 0,
    pair,
    onRequest: echo.onRequest,
    onError: assert.fail,
  };
  const server = serveWebTransport(options);
  using relay = new DatagramRelay(server.addr);
  const html = PAGE(relay.port, [...new Uint8Array(value as ArrayBuffer)]);
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(html, { headers: { "Content-Type": "text/html" } }),
  );
  {
    await using page = await open(`http://127.0.0.1:${http.addr.port}/`);
    await run({ page, echo, relay });
  }
  await server.close();
}

/** What a browser must be able to do with a server. Registers a test for each. */
export function browserContract(
  name: string,
  { ignore, open }: { readonly ignore: boolean; readonly open: OpenPage },
): void {
  const browserTest = (behavior: string, run: (world: BrowserWorld) => Promise<void>) =>
    Deno.test(`${name}: ${behavior}`, { ignore }, () => withPage(open, run));

  browserTest("streams end and carry bytes both ways, and datagrams come back", async (world) => {
    const { page, echo } = world;
    const result = await page.run(`
      const wt = connect("/echo?a=1");
      await wt.ready;
      const both = await wt.createBidirectionalStream();
      const writer = both.writable.getWriter();
      writer.write(encode("both ways"));
      writer.close();
      const texts = [await readAll(both.readable)];
      const one = (await wt.createUnidirectionalStream()).getWriter();
      one.write(encode("x".repeat(300_000)));
      one.close();
      const { value } = await wt.incomingUnidirectionalStreams.getReader().read();
      texts.push((await readAll(value)).length);
      const writable = wt.datagrams.writable ?? wt.datagrams.createWritable();
      const datagrams = writable.getWriter();
      const reading = wt.datagrams.readable.getReader().read();
      let datagram;
      for (let i = 0; i < 60 && datagram === undefined; i++) { // some may be lost
        datagrams.write(encode("datagram"));
        const pause = new Promise((resolve) => setTimeout(resolve, 500));
        datagram = await Promise.race([reading, pause]);
      }
      texts.push(new TextDecoder().decode(datagram?.value));
      wt.close({ closeCode: 77, reason: "done, grüße" });
      return texts;
    `);
    assert.deepEqual(result, ["both ways", 300_000, "datagram"]);
    await until("the session has ended", () => echo.ends.length > 0);
    assert.deepEqual(echo.ends, [{ code: 77, reason: "done, grüße", isClean: true }]);
    const [request] = echo.requests;
    assert.equal(request?.path, "/echo?a=1");
    assert.match(request?.origin ?? "", /^http:\/\/127\.0\.0\.1:\d+$/);
  });

  browserTest("the server's close arrives with its code and reason", async ({ page, echo }) => {
    const closed = page.run(`
      const wt = connect("/echo");
      await wt.ready;
      const { closeCode, reason } = await wt.closed;
      return { closeCode, reason };
    `);
    await until("a session is open", () => echo.sessions.length > 0);
    await echo.sessions[0]?.close(4321, "because, grüße");
    assert.deepEqual(await closed, { closeCode: 4321, reason: "because, grüße" });
    assert.deepEqual(echo.ends, [{ code: 4321, reason: "because, grüße", isClean: true }]);
  });

  browserTest("a request that is refused fails", async ({ page, echo }) => {
    const result = await page.run(`
      const wt = connect("/elsewhere");
      wt.closed.catch(() => {});
      return await wt.ready.then(() => "open", () => "refused");
    `);
    assert.equal(result, "refused");
    assert.deepEqual(echo.requests.map(({ path }) => path), ["/elsewhere"]);
  });

  browserTest("a page that closes its session when it is hidden is gone at once", async (world) => {
    const { page, echo } = world;
    await page.run(`
      const wt = connect("/echo");
      await wt.ready;
      addEventListener("pagehide", () => wt.close({ closeCode: 3, reason: "hidden" }));
    `);
    await page.navigate("about:blank");
    await until("the session has ended", () => echo.ends.length > 0);
    assert.deepEqual(echo.ends, [{ code: 3, reason: "hidden", isClean: true }]);
  });

  browserTest("300 streams are opened and closed", async ({ page }) => {
    const result = await page.run(`
      const wt = connect("/echo");
      await wt.ready;
      let count = 0;
      for (let i = 0; i < 300; i++) {
        const { readable, writable } = await wt.createBidirectionalStream();
        const writer = writable.getWriter();
        writer.write(encode(String(i)));
        writer.close();
        if (await readAll(readable) === String(i)) count++;
      }
      wt.close();
      return count;
    `);
    assert.equal(result, 300);
  });
}
