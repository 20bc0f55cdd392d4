import assert from "node:assert/strict";
import { assertRefused, call, rawCall, UPGRADE } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { MESSAGE_CLIENTS } from "../support/message_clients.ts";
import { newChannel } from "../support/publishing.ts";
import { head, OPCODE, RawConnection } from "../support/raw_connection.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const ALL = { publish: ["**"], subscribe: ["**"] };
const ONE_CONNECTION = ["credential", "address", "tenant"]
  .map((scope) => `${scope}.connections=1`).join(" ");

/** Requests a WebSocket with a token in a header, which browsers cannot. */
async function upgrade(weir: Guarded<LocalServer>, token: string) {
  return await rawCall(weir.server.port, "/v1/socket", {
    headers: { ...UPGRADE, ...bearer(token) },
  });
}

for (const [what, open] of Object.entries(MESSAGE_CLIENTS)) {
  Deno.test(`a ${what} takes a fresh token even when no further connection is allowed`, async () => {
    await using weir = await guardedLocal({ WEIR_LIMITS: ONE_CONNECTION });
    await using socket = await open(weir.url, { token: await weir.token(ALL) });
    for (let ref = 1; ref <= 3; ref++) {
      socket.send({ op: "auth", ref, token: await weir.token(ALL, { jti: `t${ref}` }) });
      const { op, code } = await socket.next();
      assert.deepEqual([op, code], ["authenticated", undefined]);
    }
    assertRefused(await upgrade(weir, await weir.token(ALL)), 429, "too_many_connections");
  });

  Deno.test(`a ${what} whose new credential is refused keeps counting for its old identity`, async () => {
    await using weir = await guardedLocal({ WEIR_LIMITS: "tenant.connections=1" });
    const [a, b] = [{ ...ALL, tenant: "a" }, { ...ALL, tenant: "b" }];
    await using socket = await open(weir.url, { token: await weir.token(a) });
    socket.send({ op: "auth", ref: 1, token: await weir.token(b) });
    assert.equal((await socket.next())["code"], "forbidden");
    assertRefused(await upgrade(weir, await weir.token(a)), 429, "too_many_connections");
    await using other = await open(weir.url, { token: await weir.token(b) });
    other.send({ op: "ping" });
    await other.until("pong");
  });

  Deno.test(`an anonymous ${what} stays anonymous if its new identity has no connection left`, async () => {
    await using weir = await guardedLocal({ WEIR_ANONYMOUS: "subscribe:public/**" });
    const token = await weir.token({ ...ALL, limits: { connections: 1 } });
    const channel = newChannel();
    const first = await open(weir.url, { token });
    await using second = await open(weir.url);
    second.send({ op: "auth", ref: 1, token }, { op: "subscribe", ref: 2, channel });
    assert.equal((await second.next())["code"], "too_many_connections");
    assert.equal((await second.next())["code"], "forbidden");
    await first[Symbol.asyncDispose]();
    second.send({ op: "auth", ref: 3, token }, { op: "subscribe", ref: 4, channel });
    await second.until("subscribed");
  });

  Deno.test(`each auth counts as a subscribe of the ${what}'s identity`, async () => {
    await using weir = await guardedLocal();
    const none = await weir.token({ ...ALL, limits: { subscribes: 0 } });
    await using socket = await open(weir.url, { token: none });
    socket.send({ op: "auth", ref: 1, token: await weir.token(ALL) }, { op: "ping" });
    assert.equal((await socket.next())["code"], "rate_limited");
    await socket.until("pong");
  });

  Deno.test(`the first auth counts as a subscribe of its IP (${what})`, async () => {
    await using weir = await guardedLocal({ WEIR_LIMITS: "address.subscribes=0" });
    await using socket = await open(weir.url);
    socket.send({ op: "auth", ref: 1, token: await weir.token(ALL) });
    assert.equal((await socket.next())["code"], "rate_limited");
    await socket.closedWith(4401);
  });

  Deno.test(`a ${what} with too many refused messages is closed with 4429`, async (t) => {
    await using weir = await guardedLocal();
    const limits = { publishes: 0 };
    const publish = (ref: number) => ({ op: "publish", ref, channel: "a", data: 1 });
    const floods = {
      forbidden: await weir.token({}),
      rate_limited: await weir.token({ ...ALL, limits }, { sub: "ben" }),
    };
    for (const [expected, token] of Object.entries(floods)) {
      await t.step(expected, async () => {
        await using socket = await open(weir.url, { token });
        for (let sent = 0; sent < 1_000; sent += 100) {
          socket.send(...Array.from({ length: 100 }, (_, i) => publish(sent + i)));
        }
        for (let i = 0; i < 1_000; i++) assert.equal((await socket.next())["code"], expected);
        socket.send({ op: "ping" });
        await socket.until("pong");
        socket.send(publish(1_000));
        assert.equal((await socket.next())["code"], expected);
        assert.equal((await socket.next())["reason"], "flooding");
        await socket.closedWith(4429);
      });
    }
    assert.equal((await call(weir.url, "/healthz")).status, 200);
  });

  Deno.test(`before authentication 16 messages are answered, and the next one ends the ${what}`, async (t) => {
    await using weir = await guardedLocal();
    const floods = {
      pong: { op: "ping" },
      unauthenticated: { op: "publish", ref: 1, channel: "a", data: 1 },
      bad_op: { op: "nonsense" },
    };
    for (const [expected, message] of Object.entries(floods)) {
      await t.step(expected, async () => {
        await using socket = await open(weir.url);
        for (let i = 0; i < 16; i++) {
          socket.send(message);
          const { op, code } = await socket.next();
          assert.equal(code ?? op, expected);
        }
        socket.send(message, message, message);
        const { op, code } = await socket.next();
        assert.equal(code ?? op, expected);
        assert.equal((await socket.next())["reason"], "flooding");
        await socket.closedWith(4429);
      });
    }
  });

  Deno.test(`more than 300 pings in ten seconds are refused, and a flood of them ends the ${what}`, async () => {
    await using weir = await guardedLocal();
    await using socket = await open(weir.url, { token: await weir.token(ALL) });
    const pings = Array.from({ length: 100 }, (_, ref) => ({ op: "ping", ref }));
    for (let i = 0; i < 13; i++) socket.send(...pings);
    for (let i = 0; i < 300; i++) assert.equal((await socket.next()).op, "pong");
    for (let i = 0; i < 1_000; i++) {
      const { code, ref } = await socket.next();
      assert.deepEqual([code, ref], ["rate_limited", i % 100]);
    }
    socket.send({ op: "ping" });
    assert.equal((await socket.next())["code"], "rate_limited");
    assert.equal((await socket.next())["reason"], "flooding");
    await socket.closedWith(4429);
  });
}

Deno.test("a socket that was sent away counts until its peer has closed", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: "address.connections=2" });
  const ask = () => rawCall(weir.server.port, "/v1/socket", { headers: UPGRADE });
  {
    using stack = new DisposableStack();
    for (let i = 0; i < 2; i++) {
      const connection = stack.use(await RawConnection.open(weir.server.port));
      await connection.upgrade("/v1/socket");
      await connection.sendText(JSON.stringify({ op: "auth", token: "nonsense" }));
      while ((await connection.frame())?.opcode !== OPCODE.close); // it doesn't close itself
    }
    await until("they are sent away", () => weir.server.server.sockets.sockets.size === 0);
    assertRefused(await ask(), 429, "too_many_connections");
  }
  await until("they no longer count", async () => (await ask()).status === 101);
});

Deno.test("clients that leave during the handshake don't count any more", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: "address.connections=2" });
  const ask = () => rawCall(weir.server.port, "/v1/socket", { headers: UPGRADE });
  for (let i = 0; i < 20; i++) {
    using connection = await RawConnection.open(weir.server.port);
    await connection.write(head("GET", "/v1/socket", UPGRADE));
  }
  await until("another one is accepted", async () => (await ask()).status === 101);
});

Deno.test("before authentication a frame may hold a credential but nothing larger", async () => {
  await using weir = await guardedLocal();
  const longest = 8_192 + 1_024;
  {
    await using socket = await SocketClient.open(weir.url);
    socket.sendText(`{"op":"ping"}`.padEnd(longest));
    await socket.until("pong");
    socket.sendText(`{"op":"ping"}`.padEnd(longest + 1));
    assert.equal((await socket.next())["code"], "frame_too_large");
    assert.equal((await socket.closed).code, 4002);
  }
  await using socket = await SocketClient.open(weir.url, { token: await weir.token(ALL) });
  socket.sendText(`{"op":"ping"}`.padEnd(longest + 1));
  await socket.until("pong");
});

Deno.test("a client that sends too much while its first credential is verified is disconnected", async (t) => {
  await using keys = new HeldKeys();
  await using weir = await guardedLocal({ WEIR_JWKS: keys.url });
  const publish = { op: "publish", ref: 1, channel: "a" };
  // No more than necessary: data sent after the server's close may cost the client the close code.
  const floods = {
    "large messages": Array(8).fill(JSON.stringify({ ...publish, data: "x".repeat(8_192) })),
    "small messages": Array(2).fill(Array(150).fill(`{"op":"ping"}`).join("\n")),
  };
  for (const [what, frames] of Object.entries(floods)) {
    await t.step(what, async () => {
      await using socket = await SocketClient.open(weir.url);
      socket.send({ op: "auth", ref: 1, token: await weir.token(ALL) });
      for (const frame of frames) socket.sendText(frame);
      assert.equal((await socket.until("goodbye"))["reason"], "flooding");
      assert.equal((await socket.closed).code, 4429);
    });
  }
});

Deno.test("messages that are refused before any limit counts them end the socket too", async (t) => {
  await using weir = await guardedLocal();
  const floods = {
    not_subscribed: { op: "unsubscribe", ref: 1, channel: "a" },
    bad_channel: { op: "publish", ref: 1, channel: "", data: 1 },
    bad_cursor: { op: "subscribe", ref: 1, channel: "a", after: "x" },
  };
  for (const [expected, message] of Object.entries(floods)) {
    await t.step(expected, async () => {
      await using socket = await SocketClient.open(weir.url, { token: await weir.token(ALL) });
      for (let sent = 0; sent < 1_000; sent += 100) socket.send(...Array(100).fill(message));
      for (let i = 0; i < 1_000; i++) assert.equal((await socket.next())["code"], expected);
      socket.send(message);
      assert.equal((await socket.next())["code"], expected);
      assert.equal((await socket.next())["reason"], "flooding");
      assert.equal((await socket.closed).code, 4429);
    });
  }
});

Deno.test("an IP that has flooded a socket opens further ones slowly", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  const upgrade = async () => {
    using connection = await RawConnection.open(Number(new URL(weir.url).port));
    const answer = await connection.get("/v1/socket", {
      "Authorization": `Bearer ${token}`,
      "Connection": "Upgrade",
      "Upgrade": "websocket",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version": "13",
    });
    return answer.split(" ")[1];
  };
  for (let i = 0; i < 5; i++) assert.equal(await upgrade(), "101");
  {
    await using socket = await SocketClient.open(weir.url, { token });
    for (let i = 0; i < 14; i++) socket.send(...Array(100).fill({ op: "ping" }));
    while ((await socket.next()).op !== "goodbye");
  }
  const answers: (string | undefined)[] = [];
  for (let i = 0; i < 20; i++) answers.push(await upgrade());
  assert.equal(answers[0], "101");
  assert.ok(answers.includes("429"));
});

/** A JWKS URL that answers only once it is disposed. */
class HeldKeys implements AsyncDisposable {
  readonly #released = Promise.withResolvers<void>();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    await this.#released.promise;
    return Response.json({ keys: [] });
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.resolve();
    await this.#server.shutdown();
  }
}
