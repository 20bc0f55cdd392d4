import assert from "node:assert/strict";
import { DENOKV_MISSING } from "../support/denokv.ts";
import { isProxyMissing } from "../support/proxies.ts";
import { CLIENTS, rollingRestart } from "./rolling.ts";

for (const proxy of ["haproxy", "nginx"] as const) {
  Deno.test(`2,000 clients behind ${proxy} lose nothing while both servers are replaced`, {
    ignore: DENOKV_MISSING || isProxyMissing(proxy),
  }, async () => {
    const { faults, failures, exitCodes, latencies } = await rollingRestart({
      proxy,
      clients: CLIENTS,
    });
    assert.deepEqual(faults, [], "each event arrives once, and in order");
    assert.deepEqual(failures, [], "no publish fails, and none is stored twice");
    assert.deepEqual(exitCodes, [0, 0]);
    assert.ok((latencies["roll websocket"]?.length ?? 0) > 0, "events were published meanwhile");
  });
}
