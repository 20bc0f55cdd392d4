import assert from "node:assert/strict";
import type { ConnectionState } from "../../../lib/client/api.ts";
import type { WeirError } from "../../../lib/client/client.ts";
import { connect } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import { answerOf, FaultProxy } from "../../support/fault_proxy.ts";
import { FakePlatform } from "../../support/client_platform.ts";
import { QUICK_RETRIES } from "../../support/client_platform.ts";
import { LocalServer } from "../../support/local_server.ts";
import { until } from "../../support/until.ts";

Deno.test("a publish answered by a captive portal is retried and reported to onError", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const text = answerOf("200 OK", "text/html", "<h1>Welcome to this hotel</h1>");
  proxy.next(["publish"], { act: "answer", text });
  const told: WeirError[] = [];
  await using weir = makeClient(proxy.url, { onError: (error) => told.push(error) }, QUICK_RETRIES);
  await weir.publish("a", 1);
  assert.deepEqual(told.map(({ code }) => code), ["bad_answer"]);
});

Deno.test("a publish without an answer is reported to onError", async () => {
  await using proxy = new FaultProxy(0);
  proxy.on(["publish"], { act: "refuse" });
  const told: WeirError[] = [];
  const weir = makeClient(proxy.url, { onError: (error) => told.push(error) }, QUICK_RETRIES);
  const published = weir.publish("a", 1);
  await until("it is reported", () => told.length > 0);
  assert.equal(told[0]?.code, "unreachable");
  assert.equal(weir.state.value.status, "idle");
  await weir.close();
  await assert.rejects(published, { code: "closed" });
});

Deno.test("Retry-After may be a date, relative to the answer's own date", async () => {
  await using proxy = new FaultProxy(0);
  const answer = (head: string) =>
    `HTTP/1.1 503 Busy\r\n${head}Content-Length: 0\r\nConnection: close\r\n\r\n`;
  const then = "Retry-After: Fri, 02 Jan 2026 00:01:00 GMT\r\n";
  for (
    const [head, wait] of [
      [`Date: Fri, 02 Jan 2026 00:00:00 GMT\r\n${then}`, 60_000],
      [`Date: Fri, 02 Jan 2026 00:02:00 GMT\r\n${then}`, undefined],
      ["Retry-After: 2\r\n", 2_000],
      ["Retry-After: soon\r\n", undefined],
    ] as const
  ) {
    proxy.on(["other", "short-poll"], { act: "answer", text: answer(head) });
    await using weir = makeClient(proxy.url, {}, QUICK_RETRIES);
    await assert.rejects(weir.history("a"), { code: "bad_answer", retryAfter: wait });
  }
});

Deno.test("a clock that is set back during a wait does not prolong it", async () => {
  const device = new FakePlatform();
  let error = 0;
  let tries = 0;
  const now = () => device.clock.now() + error;
  const fetch = () => {
    tries++;
    return Promise.reject(new TypeError("Nobody is there."));
  };
  await using weir = makeClient(
    "http://localhost:1",
    { transports: ["sse"] },
    device.platform({ now, fetch }),
  );
  weir.listen("a", { after: "earliest", onEvent() {}, onGap: "throw" });
  const isWaiting = () => weir.state.value.status === "reconnecting";
  await until("it waits", isWaiting);
  const before = tries;
  error = -3_600_000;
  device.changed(); // the page is visible again
  device.clock.advance(1_000);
  await until("it has tried again", () => tries > before && isWaiting());
  device.changed();
  device.clock.advance(1_000);
  await until("it has tried once more", () => tries > before + 1);
});

Deno.test("a stream that breaks off after its goodbye is reported as a server that stops", async () => {
  for (const transport of ["sse", "websocket"] as const) {
    await using server = await LocalServer.start();
    const told: WeirError[] = [];
    await using weir = connect(server.url, {
      transports: [transport],
      onError: (error) => told.push(error),
    });
    weir.listen("a", { onEvent() {}, onGap: "throw" });
    await until("it is open", () => weir.state.value.status === "open");
    const states: ConnectionState[] = [];
    weir.state.subscribe((state) => states.push(state));
    await server.server.disconnectClients();
    // Its wait may be over before a slow machine looks.
    const findWait = () => states.find(({ status }) => status === "reconnecting");
    await until("it waits", () => findWait() !== undefined);
    const state = findWait();
    assert.ok(state?.status === "reconnecting");
    assert.equal(state.error.code, "shutting_down", state.error.detail);
    assert.ok(state.delay >= 200, `${state.delay} ms`);
    assert.deepEqual(told, []);
  }
});
