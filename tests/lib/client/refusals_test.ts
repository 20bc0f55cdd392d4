import assert from "node:assert/strict";
import { type Credential, type TransportName, type Weir } from "../../../lib/client/api.ts";
import { connect, WeirError } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import { answerOf, FaultProxy, READS } from "../../support/fault_proxy.ts";
import { endingIn, type Guarded, guardedLocal } from "../../support/guarded.ts";
import { LocalServer } from "../../support/local_server.ts";
import { QUICK_RETRIES, quickRetriesOver } from "../../support/client_platform.ts";
import { EVERY_TRANSPORT, withTransport } from "../../support/every_transport.ts";
import { until } from "../../support/until.ts";

async function closedBy(weir: Weir): Promise<WeirError> {
  await until("it is closed", () => weir.state.value.status === "closed");
  const state = weir.state.value;
  assert.ok(state.status === "closed" && state.error !== undefined);
  return state.error;
}

/** Waits for the error that ends a subscription. */
function failureOf(weir: Weir, channel = "a"): Promise<WeirError> {
  return new Promise((resolve) => {
    weir.listen(channel, { onEvent() {}, onGap: "throw", onError: resolve });
  });
}

async function onEach(
  test: (transport: TransportName, guarded: Guarded<LocalServer>) => Promise<void>,
): Promise<void> {
  await using guarded = await guardedLocal();
  await guarded.server.serveWebTransport();
  for (const transport of EVERY_TRANSPORT) await test(transport, guarded);
}

Deno.test("an invalid URL closes the client, and all calls reject with it", async () => {
  for (const url of ["ws://localhost", "localhost:8000", "", "mailto:a@b.c", "http://"]) {
    const weir = connect(url);
    assert.equal((await closedBy(weir)).code, "bad_url");
    assert.equal((await failureOf(weir)).code, "bad_url");
    await assert.rejects(
      async () => {
        for await (const _ of weir.subscribe("a")) assert.fail();
      },
      { name: "WeirError", code: "bad_url" },
    );
    await assert.rejects(weir.publish("a", 1), { code: "bad_url" });
    await weir.close();
  }
});

Deno.test("a forbidden channel ends only its own subscription", () =>
  onEach(async (transport, { url, token }) => {
    const given = await token({ publish: ["mine/*"], subscribe: ["mine/*"] });
    await using weir = makeClient(
      url,
      { transports: [transport], auth: () => given },
      quickRetriesOver(transport),
    );
    const found: unknown[] = [];
    for (const channel of [`mine/${transport}`, `mine/${transport}2`]) {
      weir.listen(channel, {
        after: "earliest",
        onEvent: ({ data }) => void found.push(data),
        onGap: "throw",
      });
    }
    const error = await failureOf(weir, "theirs");
    assert.deepEqual([error.name, error.code], ["WeirError", "forbidden"]);
    await weir.publish(`mine/${transport}`, 1);
    await until("it came", () => found.length === 1);
    // With a cursor there is only one request, which is refused as a whole.
    const after = "000000000_0000000000000000";
    const other = new Promise<WeirError>((resolve) =>
      weir.listen("theirs/too", { after, onEvent() {}, onGap: "throw", onError: resolve })
    );
    assert.equal((await other).code, "forbidden");
    await weir.publish(`mine/${transport}2`, 2);
    await until("it came", () => found.length === 2);
    await assert.rejects(weir.publish("theirs", 1), { code: "forbidden" });
  }));

const WRONG: readonly ((guarded: Guarded<LocalServer>) => Credential | Promise<Credential>)[] = [
  () => "nonsense",
  ({ token }) => token({}, { iat: 1_000, exp: 1_010 }), // the clock is wrong
  () => ({ ticket: "wt_0000000000000000000000" }),
];

for (const transport of EVERY_TRANSPORT) {
  const name =
    `${transport}: after a refused credential auth is called once more, then the client closes`;
  // Deno keeps the streams of a WebTransport connection that is refused.
  Deno.test(name, { sanitizeResources: transport !== "webtransport" }, async () => {
    for (const auth of WRONG) {
      await using guarded = await guardedLocal(); // each counts its refusals
      await withTransport(transport, guarded.server);
      let asked = 0;
      const weir = makeClient(guarded.url, {
        transports: [...new Set<TransportName>([transport, "short-poll"])],
        auth: () => (asked++, auth(guarded)),
      }, quickRetriesOver(transport));
      const failure = failureOf(weir);
      const error = await closedBy(weir);
      assert.match(error.code, /^(token|ticket)_(invalid|expired)$/);
      assert.equal((await failure).code, error.code);
      assert.ok(asked >= 2 && asked <= 6, `asked ${asked} times`);
      await weir.close();
    }
  });
}

Deno.test("the client closes if the server requires a credential and there is none", () =>
  onEach(async (transport, { url }) => {
    const weir = makeClient(url, { transports: [transport] }, quickRetriesOver(transport));
    void failureOf(weir);
    assert.equal((await closedBy(weir)).code, "unauthenticated");
    await weir.close();
  }));

Deno.test("auth that throws closes the client, except for a network error", async () => {
  await using guarded = await guardedLocal();
  const cause = new Error("signed out");
  const closed = makeClient(guarded.url, { auth: () => Promise.reject(cause) }, QUICK_RETRIES);
  void failureOf(closed);
  const error = await closedBy(closed);
  assert.deepEqual([error.code, error.cause], ["auth_failed", cause]);
  await closed.close();

  let tries = 0;
  const auth = () => {
    if (tries++ < 3) throw new TypeError("Failed to fetch");
    return guarded.token();
  };
  await using weir = makeClient(guarded.url, { auth }, QUICK_RETRIES);
  weir.listen("a", { onEvent() {}, onGap: "throw" });
  await until("it is open", () => weir.state.value.status === "open");
  assert.equal(tries, 4);
});

Deno.test("the client closes if the server refuses its host or origin", async () => {
  await using server = await LocalServer.start();
  for (const code of ["forbidden_host", "forbidden_origin"]) {
    await using proxy = new FaultProxy(server.port);
    const problem = JSON.stringify({ code, detail: "No." });
    const text = answerOf("403 Forbidden", "application/problem+json", problem);
    proxy.on(READS, { act: "answer", text });
    const weir = makeClient(proxy.url, {}, QUICK_RETRIES);
    void failureOf(weir);
    assert.equal((await closedBy(weir)).code, code);
    await weir.close();
    assert.ok(proxy.requests.length <= 2);
  }
});

const GARBAGE: readonly (readonly [string, string])[] = [
  ["a page", answerOf("200 OK", "text/html", "<h1>Welcome</h1>")],
  ["no page", answerOf("404 Not Found", "text/html", "<h1>Not found</h1>")],
  ["other JSON", answerOf("200 OK", "application/json", `{"hello":"world"}`)],
  ["JSON other than an object", answerOf("200 OK", "application/json", "7")],
  ["a stream of something", answerOf("200 OK", "text/event-stream", "data: hello\n\n")],
  [
    "events without offsets",
    answerOf("200 OK", "text/event-stream", `data: {"channel":"a","offset":"1"}\n\n`),
  ],
  ["half a head", "HTTP/1.1 200 OK\r\nContent-"],
  ["no HTTP", "220 ready\r\n"],
];

for (const [name, text] of GARBAGE) {
  Deno.test(`a server that answers ${name} is retried as bad_answer`, async () => {
    await using server = await LocalServer.start();
    await using proxy = new FaultProxy(server.port);
    proxy.on([...READS, "other", "publish"], { act: "answer", text });
    for (const transport of EVERY_TRANSPORT) {
      const codes = new Set<string>();
      let waits = 0;
      await using weir = makeClient(proxy.url, { transports: [transport] }, QUICK_RETRIES);
      weir.state.subscribe((state) => {
        if (state.status !== "reconnecting") return;
        codes.add(state.error.code);
        waits++;
      });
      const found: unknown[] = [];
      weir.listen("a", {
        after: "000000000_0000000000000000",
        onEvent: (event) => void found.push(event),
        onGap: "throw",
      });
      const before = proxy.count();
      await until("it waits", () => waits >= 5);
      assert.ok(proxy.count() - before <= 2 * (waits + 1), "a request for each wait");
      for (const code of codes) assert.match(code, /^(bad_answer|unreachable)$/);
      assert.deepEqual(found, []);
    }
  });
}

Deno.test("invalid messages of a socket, and those that skip events, are not delivered", async () => {
  const offset = (n: number) => `0mwpu38co_${String(n).padStart(16, "0")}`;
  const event = (n: number) =>
    JSON.stringify({ op: "event", channel: "a", offset: offset(n), data: n });
  const talks = [
    ["not json"],
    ["[]", "null"],
    [`{"op":"event","channel":"a"}`],
    [`{"op":"gap","channel":"a"}`],
    [event(1), event(2), event(2), event(1), event(4)],
    [event(2)],
  ];
  for (const talk of talks) {
    let sockets = 0;
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "weir.v1" });
      sockets++;
      socket.onopen = () => socket.send(`{"op":"welcome","heartbeat":15000}`);
      socket.onmessage = ({ data }) => {
        const { op, ref } = JSON.parse(String(data));
        if (op !== "subscribe") return;
        socket.send(JSON.stringify({ op: "subscribed", ref, channel: "a", offset: offset(0) }));
        for (const line of talk) socket.send(line);
      };
      return response;
    });
    const weir = makeClient(
      `http://127.0.0.1:${server.addr.port}`,
      { transports: ["websocket"] },
      QUICK_RETRIES,
    );
    const found: unknown[] = [];
    weir.listen("a", {
      after: offset(0),
      onEvent: ({ data }) => void found.push(data),
      onGap: "throw",
    });
    await until("it has tried again", () => sockets >= 3);
    await weir.close();
    await server.shutdown();
    assert.deepEqual(found, talk.length === 5 ? [1, 2] : []);
  }
});

Deno.test("a permission revoked during use ends only the subscriptions that need it", () =>
  onEach(async (transport, { url, token }) => {
    let tokens = 0;
    const auth = () =>
      tokens++ === 0
        ? token({ subscribe: ["*"], publish: ["*"] }, endingIn(3))
        : token({ subscribe: ["kept"], publish: ["*"] });
    const platform = quickRetriesOver(transport);
    await using weir = makeClient(url, { transports: [transport], auth }, platform);
    const found: unknown[] = [];
    let isOn = false;
    weir.listen("kept", {
      after: "latest",
      onStart: () => isOn = true,
      onEvent: ({ data }) => void found.push(data),
      onGap: "throw",
    });
    assert.equal((await failureOf(weir, "lost")).code, "forbidden");
    await until("the other is read", () => isOn);
    await weir.publish("kept", transport);
    await until("the other one continues", () => found.length === 1);
    assert.deepEqual(found, [transport]);
  }));
