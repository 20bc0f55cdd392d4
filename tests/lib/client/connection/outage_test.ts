import assert from "node:assert/strict";
import type { TransportName } from "../../../../lib/client/api.ts";
import type { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import { FakePlatform } from "../../../support/client_platform.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { freePort } from "../../../support/free_port.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { until } from "../../../support/until.ts";

const noOutage = { onEvent() {}, onGap: "throw" } as const;

for (const transports of [undefined, ["websocket"], ["long-poll"]] as const) {
  Deno.test(`a server that does not answer ${transports ?? "any transport"} for 5 s is reported once`, async () => {
    using warnings = watchWarnings();
    const url = `http://127.0.0.1:${freePort()}`;
    const { device, told, weir } = open(url, transports);
    weir.listen("a", noOutage);
    await until("it waits", () => weir.state.value.status === "reconnecting");
    let passedMs = 0;
    await until("it is reported", () => {
      device.clock.advance(100);
      passedMs += 100;
      return told.length > 0;
    });
    assert.ok(passedMs >= 5_000, `${passedMs} ms`);
    const [error] = told;
    assert.equal(error?.code, "unreachable");
    assert.equal(error.detail, `No answer from ${url}. Is the URL right, and the server up?`);
    assert.deepEqual(warnings.texts, [`Weir keeps trying to connect: ${error.detail}`]);
    const states: string[] = [];
    weir.state.subscribe(({ status }) => states.push(status));
    await until("it has tried several times more", () => {
      device.clock.advance(1_000);
      return states.filter((status) => status === "connecting").length >= 5;
    });
    assert.deepEqual([told.length, warnings.texts.length], [1, 1]);
    await weir.close();
  });
}

Deno.test("an outage that ends within 5 s is not reported", async () => {
  using warnings = watchWarnings();
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const { device, told, weir } = open(proxy.url, ["sse"]);
  weir.listen("a", noOutage);
  const states: string[] = [];
  weir.state.subscribe(({ status }) => states.push(status));
  await until("it is open", () => weir.state.value.status === "open");
  for (let outages = 1; outages <= 3; outages++) {
    proxy.cut();
    await until("it waits", () => {
      return states.filter((status) => status === "reconnecting").length === outages;
    });
    let passedMs = 0;
    await until("it is open", () => {
      if (passedMs < 4_900) device.clock.advance(100);
      passedMs += 100;
      return weir.state.value.status === "open";
    });
  }
  device.clock.advance(10_000);
  assert.deepEqual([told, warnings.texts], [[], []]);
  await weir.close();
});

/** Opens a client with a clock of its own. */
function open(url: string, transports: readonly TransportName[] | undefined) {
  const device = new FakePlatform();
  const told: WeirError[] = [];
  const onError = (error: WeirError) => void told.push(error);
  return { device, told, weir: makeClient(url, { transports, onError }, device.platform()) };
}

/** Collects what is written by `console.warn`. */
function watchWarnings(): Disposable & { readonly texts: readonly string[] } {
  const texts: string[] = [];
  const { warn } = console;
  // deno-lint-ignore no-console
  console.warn = (text: string) => texts.push(text);
  return {
    texts,
    [Symbol.dispose]() {
      // deno-lint-ignore no-console
      console.warn = warn;
    },
  };
}
