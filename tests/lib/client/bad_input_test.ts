import assert from "node:assert/strict";
import { connect, type TransportName, TRANSPORTS } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import {
  endOf,
  endure,
  FACTOR,
  MAX_TRIES,
  MINUTES,
  refusal,
  STRANGERS,
} from "../../support/client_errors.ts";
import { ALL, FaultProxy } from "../../support/fault_proxy.ts";
import { shortTimers } from "../../support/client_platform.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { test } from "../../support/rejections.ts";
import { fastPlatform } from "../../support/client_platform.ts";
import { freePort } from "../../support/free_port.ts";
import { until } from "../../support/until.ts";

for (const url of ["", "no url", "ftp://localhost/", "ws://localhost/", "javascript:0"]) {
  test(`the URL ${JSON.stringify(url)} is refused immediately with an explanation`, async () => {
    await using weir = connect(url);
    const error = await endOf(weir, "a");
    assert.equal(error?.code, "bad_url");
    assert.match(error.detail, /http/);
    assert.equal((await refusal(weir.publish("a", 1))).code, "bad_url");
    assert.equal((await refusal(weir.history("a"))).code, "bad_url");
    assert.equal(weir.state.value.status, "closed");
  });
}

test("a missing host is retried from time to time", async () => {
  const { error } = await endure(`http://weir.invalid/`);
  assert.equal(error.code, "unreachable");
  assert.match(error.detail, /weir\.invalid.*Is the URL right/);
});

test("a closed port is retried from time to time", async () => {
  const { error, states } = await endure(`http://127.0.0.1:${freePort()}/`);
  assert.equal(error.code, "unreachable");
  const tries = states.filter(({ status }) => status === "connecting").length;
  assert.ok(tries > 5 && tries < MAX_TRIES * TRANSPORTS.length, `${tries} tries`);
});

for (const [name, text] of Object.entries(STRANGERS)) {
  test(`if ${name} answers, the client reports it and retries rarely, on every transport`, async () => {
    const allowed: readonly (readonly TransportName[])[] = [
      TRANSPORTS,
      ...TRANSPORTS.map((t) => [t]),
    ];
    await Promise.all(allowed.map(async (transports) => {
      await using proxy = new FaultProxy(0);
      proxy.on(ALL, { act: "answer", text });
      const { error } = await endure(proxy.url, { transports });
      assert.match(error.code, /^(bad_answer|unreachable)$/, String(transports));
      // The runtime follows redirects by itself.
      const asked = proxy.requests.filter(({ path }) => path !== "/elsewhere").length;
      const most = MAX_TRIES * transports.length;
      assert.ok(asked > 3 && asked < most, `${asked} requests over ${transports}`);
    }));
  });
}

test("if WebSockets are only echoed, the client uses another transport", async () => {
  await using server = await LocalServer.start();
  await using echo = echoServer(server.port);
  await using weir = makeClient(echo.url, {}, shortTimers({ maxMs: 300 }));
  const channel = newChannel();
  const seen: unknown[] = [];
  weir.listen(channel, { onEvent: ({ data }) => seen.push(data), onGap: "throw" });
  await until("it is open", () => weir.state.value.status === "open");
  assert.notDeepEqual(weir.state.value, { status: "open", transport: "websocket" });
  await until("an event comes", async () => {
    await publish(server.url, channel, "x");
    return seen.length > 0;
  });
});

test("a server that goes away is retried from time to time, until it is back", async () => {
  const server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const { platform, elapsed } = fastPlatform(FACTOR);
  await using weir = makeClient(proxy.url, {}, platform);
  const end = endOf(weir, newChannel());
  await until("it is open", () => weir.state.value.status === "open");
  proxy.cut();
  await server[Symbol.asyncDispose]();
  const [goneAt, before] = [elapsed(), proxy.requests.length];
  await until("minutes have passed", () => elapsed() - goneAt > MINUTES * 60_000);
  const { value } = weir.state;
  assert.ok(value.status === "reconnecting" || value.status === "connecting", value.status);
  const asked = proxy.requests.length - before;
  assert.ok(asked > 3 && asked < MAX_TRIES * TRANSPORTS.length, `${asked} requests`);
  await using again = await LocalServer.start();
  proxy.target = again.port;
  await until("it is open again", () => weir.state.value.status === "open");
  await weir.close();
  assert.equal(await end, undefined);
});

/** Echoes on every WebSocket and forwards all other requests to the server. */
function echoServer(port: number): AsyncDisposable & { readonly url: string } {
  const sockets = new Set<WebSocket>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (request.headers.get("upgrade") !== "websocket") {
      const { pathname, search } = new URL(request.url);
      return fetch(`http://127.0.0.1:${port}${pathname}${search}`, request);
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "weir.v1" });
    sockets.add(socket);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.close();
      await server.shutdown();
    },
  };
}

test("a publish that another server answers is rejected, at the latest when the client closes", async () => {
  for (const [name, text] of Object.entries(STRANGERS)) {
    await using proxy = new FaultProxy(0);
    proxy.on(ALL, { act: "answer", text });
    const { platform } = fastPlatform(FACTOR);
    await using weir = makeClient(proxy.url, {}, platform);
    const publishing = refusal(weir.publish("a", 1));
    await until("it was tried", () => proxy.count(["publish"]) > 0);
    const { code: ofHistory } = await refusal(weir.history("a"));
    assert.match(ofHistory, /^(bad_answer|unreachable)$/, name);
    await weir.close();
    const { code } = await publishing;
    assert.match(code, /^(bad_answer|closed)$/, name);
  }
});
