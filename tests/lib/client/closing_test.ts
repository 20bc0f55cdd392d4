import assert from "node:assert/strict";
import { makeClient } from "../../../lib/client/make_client.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { QUICK_RETRIES } from "../../support/client_platform.ts";
import { LocalServer } from "../../support/local_server.ts";
import { until } from "../../support/until.ts";

Deno.test("close() ends pending calls over HTTP", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const weir = makeClient(proxy.url, { transports: ["sse"] }, QUICK_RETRIES);
  weir.listen("a", { onEvent() {}, onGap: "throw" });
  await until("it is open", () => weir.state.value.status === "open");
  const before = proxy.requests.length;
  proxy.on(["publish", "short-poll", "other"], { act: "stall" });
  const calls = [
    weir.publish("a", 1),
    weir.history("a"),
    weir.presence("a").enter(1, { member: "ann" }),
  ];
  await until("all are under way", () => proxy.requests.length === before + calls.length);
  const refused = calls.map((call) => assert.rejects(call, { code: "closed" }));
  await weir.close();
  await Promise.all(refused);
});
