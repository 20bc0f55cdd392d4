import assert from "node:assert/strict";
import { connect } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import { PLATFORM } from "../../../lib/client/core/platform.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { QUICK_RETRIES, quickRetriesOver } from "../../support/client_platform.ts";
import { proxyFor, withTransport } from "../../support/every_transport.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel } from "../../support/publishing.ts";
import { until } from "../../support/until.ts";

for (const transport of ["webtransport", "websocket", "sse"] as const) {
  Deno.test(`${transport}: onStart is called after a reconnect, once ephemeral events arrive again`, async () => {
    await using server = await withTransport(
      transport,
      await LocalServer.start({ WEIR_HEARTBEAT: "1s" }),
    );
    await using proxy = proxyFor(transport, server);
    const platform = quickRetriesOver(transport);
    await using weir = makeClient(proxy.url, { transports: [transport] }, platform);
    await using other = connect(server.url, { transports: ["websocket"] });
    const channel = newChannel();
    const told: unknown[] = [];
    let starts = 0;
    weir.listen(channel, {
      onEvent() {},
      onGap: "throw",
      onEphemeral: ({ data }) => void told.push(data),
      onStart: () => void other.publish(channel, ++starts, { ephemeral: true }),
    });
    const last = transport === "webtransport" ? 2 : 5; // a silent one is noticed after 2 s
    for (let cuts = 1; cuts <= last; cuts++) {
      await until("what was sent at the start has come", () => told.length === cuts);
      proxy.cut();
    }
    assert.deepEqual(told, [1, 2, 3, 4, 5].slice(0, last));
  });
}

Deno.test("onStart is not called when another transport takes over", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  proxy.on(["websocket"], { act: "refuse" });
  const soon: typeof PLATFORM = {
    ...QUICK_RETRIES,
    setTimeout: (callback, ms) => QUICK_RETRIES.setTimeout(callback, ms === 30_000 ? 10 : ms),
  };
  await using weir = makeClient(proxy.url, { transports: ["websocket", "sse"] }, soon);
  const told: string[] = [];
  weir.listen(newChannel(), {
    onEvent() {},
    onGap: "throw",
    onStart: () => void told.push("start"),
  });
  await until("it is read", () => told.length === 1);
  proxy.cut();
  await until("it is read again", () => told.length === 2);
  proxy.off();
  weir.state.subscribe((state) =>
    void told.push("transport" in state ? state.transport : state.status)
  );
  await until("it is open", () => told.includes("websocket"));
  await weir.publish(newChannel(), 1);
  assert.deepEqual(told, ["start", "start", "sse", "websocket"]);
});
