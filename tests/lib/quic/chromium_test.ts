import assert from "node:assert/strict";
import { IDLE_TIMEOUT_MS } from "../../../lib/quic/limits.ts";
import { Chromium, CHROMIUM_MISSING } from "../../support/chromium.ts";
import { until } from "../../support/until.ts";
import { browserContract, type BrowserPage, withPage } from "./browser_contract.ts";

/** Opens a page in a browser of its own. */
async function open(url: string): Promise<BrowserPage & AsyncDisposable> {
  const chromium = await Chromium.open();
  const { page } = chromium;
  await page.goto(url);
  return {
    run: (body) => page.evaluate(`(async () => {${body}})()`),
    navigate: async (other) => void await page.goto(other),
    [Symbol.asyncDispose]: () => chromium[Symbol.asyncDispose](),
  };
}

browserContract("Chromium", { ignore: CHROMIUM_MISSING, open });

const OPEN = `
  globalThis.wt = connect("/echo");
  await wt.ready;
`;
/** Far below the idle timeout, far above the milliseconds that it takes. */
const SOON_MS = IDLE_TIMEOUT_MS / 2;

for (const url of ["about:blank", "chrome://crash"]) {
  Deno.test(`Chromium: a page that leaves for ${url} is gone at once`, {
    ignore: CHROMIUM_MISSING,
  }, () =>
    withPage(open, async ({ page, echo }) => {
      await page.run(OPEN);
      const start = performance.now();
      page.navigate(url).catch(() => {}); // a page that crashes does not load
      await until("the session has ended", () => echo.ends.length > 0);
      assert.ok(performance.now() - start < SOON_MS);
    }));
}

Deno.test("Chromium: a page whose network is gone is gone after the idle timeout", {
  ignore: CHROMIUM_MISSING,
}, () =>
  withPage(open, async ({ page, echo, relay }) => {
    // Streams and reads are open on both sides when the network goes.
    await page.run(`${OPEN}
      const { readable, writable } = await wt.createBidirectionalStream();
      writable.getWriter().write(encode("open"));
      await readable.getReader().read();
      (await wt.createUnidirectionalStream()).getWriter().write(encode("open"));
      await wt.incomingUnidirectionalStreams.getReader().read();
    `);
    const start = performance.now();
    Object.assign(relay.loses, { toServer: true, toClient: true });
    await until("the session has ended", () => echo.ends.length > 0);
    assert.deepEqual(echo.ends, [{ code: 0, reason: "", isClean: false }]);
    assert.ok(performance.now() - start > SOON_MS);
  }));
