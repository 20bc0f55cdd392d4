import assert from "node:assert/strict";
import { DENOKV_MISSING } from "../support/denokv.ts";
import { isProxyMissing } from "../support/proxies.ts";
import { CLIENTS, DRAIN_SECONDS, maxRate, rollingRestart } from "./rolling.ts";

/** How many times as many clients as in an even spread may come in a third of the drain. */
const MAX_UNEVENNESS = 1.5;

for (const proxy of ["haproxy", "nginx"] as const) {
  Deno.test(`2,000 clients behind ${proxy} lose nothing while both servers are replaced`, {
    ignore: DENOKV_MISSING || isProxyMissing(proxy),
  }, async () => {
    const { faults, failures, exitCodes, latencies, moves } = await rollingRestart({
      proxy,
      clients: CLIENTS,
    });
    assert.deepEqual(faults, [], "each event arrives once, and in order");
    assert.deepEqual(failures, [], "no publish fails, and none is stored twice");
    assert.deepEqual(exitCodes, [0, 0]);
    assert.ok((latencies["roll websocket"]?.length ?? 0) > 0, "events were published meanwhile");
    assert.equal(moves.length, 2);
    for (const { moved, samples } of moves) {
      const even = moved / DRAIN_SECONDS;
      const most = maxRate(samples, DRAIN_SECONDS / 3);
      assert.ok(
        even > 0 && most <= MAX_UNEVENNESS * even,
        `${most} per second instead of ${even}: ${JSON.stringify(samples)}`,
      );
    }
  });
}
