import assert from "node:assert/strict";
import type { TransportName } from "../../../lib/client/api.ts";
import { serveSite } from "../../support/app_site.ts";
import { Chromium, CHROMIUM_MISSING } from "../../support/chromium.ts";
import { bundleClient } from "../../support/client_bundle.ts";
import { guardedLocal } from "../../support/guarded.ts";
import { until } from "../../support/until.ts";

const PAGE = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { connect } from "./weir.js";
  globalThis.start = (url, token, transports) => {
    const auth = token && (() => token);
    globalThis.weir = connect(url, { transports, auth });
    weir.listen("a", { onEvent() {}, onGap: "throw", onError: ({ code }) => globalThis.ended = code });
  };
</script>`;

interface PageGlobals {
  readonly weir: {
    readonly state: {
      readonly value: { readonly status: string; readonly error?: { readonly code: string } };
    };
  };
  readonly ended?: string;
  start(url: string, token?: string, transports?: readonly TransportName[]): void;
}

const CASES: readonly (readonly [string, boolean, readonly TransportName[] | undefined])[] = [
  ["without a credential", false, undefined],
  ["with a token, which needs a preflight", true, undefined],
  ["with a token, over WebSockets alone", true, ["websocket"]],
  ["without a credential, over WebSockets alone", false, ["websocket"]],
  ["with a token, over long polls", true, ["long-poll"]],
];

Deno.test("a page of a foreign origin gets the reason, and the client closes", {
  ignore: CHROMIUM_MISSING,
}, async (t) => {
  await using guarded = await guardedLocal();
  const token = await guarded.token();
  const client = await bundleClient();
  await using site = serveSite(({ url }) => {
    const isScript = url.endsWith("/weir.js");
    const type = isScript ? "text/javascript" : "text/html";
    return new Response(isScript ? client : PAGE, { headers: { "Content-Type": type } });
  });
  await using chromium = await Chromium.open();
  const { page } = chromium;
  for (const [name, hasToken, transports] of CASES) {
    await t.step(name, async () => {
      await page.goto(site.url);
      await page.waitForFunction("globalThis.start");
      await page.evaluate(
        ([url, token, transports]) => {
          (globalThis as unknown as PageGlobals).start(url, token, transports);
        },
        [guarded.url, hasToken ? token : undefined, transports] as const,
      );
      await until("it is closed", async () => {
        return await page.evaluate(() => {
          const { status, error } = (globalThis as unknown as PageGlobals).weir.state.value;
          return status === "closed" && error?.code === "forbidden_origin";
        });
      });
      const ended = await page.evaluate(() => (globalThis as unknown as PageGlobals).ended);
      assert.equal(ended, "forbidden_origin");
    });
  }
  await t.step("nothing else can be read", async () => {
    const result = await page.evaluate(async ([url, token]) => {
      try {
        const headers = { Authorization: `Bearer ${token}` };
        const response = await fetch(`${url}/v1/channels/a/events`, { headers });
        return response.status;
      } catch (error) {
        return String(error);
      }
    }, [guarded.url, token] as const);
    assert.equal(result, "TypeError: Failed to fetch");
  });
});
