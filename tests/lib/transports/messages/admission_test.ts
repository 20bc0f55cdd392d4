import assert from "node:assert/strict";
import type { Authority } from "../../../../lib/auth/authority.ts";
import type { Tenant } from "../../../../lib/shared/channel.ts";
import { authorityOf } from "../../../support/grants.ts";
import { openEmbedded } from "../../../support/log_stores.ts";
import { Queue } from "../../../support/queue.ts";
import { SocketClient } from "../../../support/socket_client.ts";
import { SocketHost } from "../../../support/socket_host.ts";
import { until } from "../../../support/until.ts";

const MiB = 2 ** 20;

interface Verification extends PromiseWithResolvers<Authority> {
  readonly credential: string;
}

/** Starts a host whose credentials the test verifies itself, whenever it wants. */
async function hostOf(authority: Authority | undefined) {
  await using undo = new AsyncDisposableStack();
  const store = undo.use(await openEmbedded());
  const verifications = new Queue<Verification>();
  const admitted: Authority[] = [];
  const host = undo.use(
    new SocketHost({
      log: await store.isolate(),
      client: {
        authority,
        authenticate: (credential) => {
          const verification = { credential, ...Promise.withResolvers<Authority>() };
          verifications.put(verification);
          return verification.promise;
        },
        admitted: (authority) => void admitted.push(authority),
      },
    }),
  );
  const resources = undo.move();
  return {
    url: host.url,
    sockets: host.options.sockets,
    connections: host.options.connections,
    verifications,
    admitted,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

Deno.test("messages sent after a credential are answered after it, even with several credentials", async () => {
  await using host = await hostOf(undefined);
  await using socket = await SocketClient.open(host.url);
  for (const ref of [1, 3]) {
    socket.send({ op: "auth", ref, token: `t${ref}` }, { op: "ping", ref: ref + 1 });
  }
  for (const ref of [1, 3]) {
    const { credential, resolve } = await host.verifications.take();
    assert.equal(credential, `t${ref}`);
    resolve(authorityOf());
    assert.deepEqual(await socket.next(), { op: "authenticated", ref });
    assert.deepEqual(await socket.next(), { op: "pong", ref: ref + 1 });
  }
});

Deno.test("messages wait for a later credential up to a limit; more ends the socket", async (t) => {
  const publish = { op: "publish", channel: "a" };
  await t.step("the largest frame with the most messages waits", async () => {
    await using host = await hostOf(authorityOf());
    await using socket = await SocketClient.open(host.url);
    socket.send({ op: "auth", token: "next" });
    const { resolve } = await host.verifications.take();
    const pings = Array.from({ length: 255 }, (_, ref) => JSON.stringify({ op: "ping", ref }));
    const large = JSON.stringify({ ...publish, ref: 255, data: "" });
    const escaped = "\\u0041"; // six characters of the frame, one byte of the event
    const count = Math.floor((2 * MiB - [...pings, large].join("\n").length) / escaped.length);
    const frame = [...pings, large.replace(`""`, `"${escaped.repeat(count)}"`)].join("\n").padEnd(
      2 * MiB,
    );
    assert.equal(frame.length, 2 * MiB);
    socket.sendText(frame);
    socket.send({ op: "nonsense" }); // it does not wait: its answer shows that the frame has arrived
    assert.equal((await socket.next())["code"], "bad_op");
    resolve(authorityOf());
    await socket.until("authenticated");
    for (let ref = 0; ref < 255; ref++) {
      assert.deepEqual(await socket.next(), { op: "pong", ref });
    }
    const { op, ref } = await socket.next();
    assert.deepEqual({ op, ref }, { op: "ack", ref: 255 });
  });
  await t.step("one large message and 499 small ones wait", async () => {
    await using host = await hostOf(authorityOf());
    await using socket = await SocketClient.open(host.url);
    socket.send({ op: "auth", token: "next" });
    const { resolve } = await host.verifications.take();
    socket.send({ ...publish, ref: 1, data: "x".repeat(MiB - 100) });
    for (let ref = 2; ref <= 500; ref++) socket.send({ ...publish, ref, data: ref });
    socket.send({ op: "nonsense" }); // it does not wait: its answer shows that all others have arrived
    assert.equal((await socket.next())["code"], "bad_op");
    resolve(authorityOf());
    await socket.until("authenticated");
    const acknowledged = [];
    while (acknowledged.length < 500) {
      const { op, ref } = await socket.next();
      assert.equal(op, "ack");
      acknowledged.push(ref);
    }
    assert.deepEqual(acknowledged, acknowledged.toSorted((a, b) => Number(a) - Number(b)));
  });
  await t.step("more than the limit ends the socket", async () => {
    await using host = await hostOf(authorityOf());
    await using socket = await SocketClient.open(host.url);
    socket.send({ op: "auth", token: "next" });
    const { resolve } = await host.verifications.take();
    for (const ref of [1, 2, 3]) socket.send({ ...publish, ref, data: "x".repeat(MiB - 100) });
    assert.equal((await socket.until("goodbye"))["reason"], "flooding");
    assert.equal((await socket.closed).code, 4429);
    resolve(authorityOf());
  });
});

Deno.test("a client that leaves before its credential is verified is not admitted", async () => {
  await using host = await hostOf(undefined);
  const socket = await SocketClient.open(host.url);
  socket.send({ op: "auth", token: "t" }, { op: "publish", ref: 1, channel: "a", data: 1 });
  const { resolve } = await host.verifications.take();
  await socket[Symbol.asyncDispose]();
  await until("it has left", () => host.sockets.size === 0);
  resolve(authorityOf());
  await new Promise((resolve) => setTimeout(resolve)); // everything that follows
  assert.deepEqual(host.admitted, []);
  assert.equal(host.connections.size, 0);
});

Deno.test("a credential that the connection must not take is not admitted", async () => {
  await using host = await hostOf(authorityOf());
  await using socket = await SocketClient.open(host.url);
  socket.send({ op: "auth", ref: 1, token: "t" });
  (await host.verifications.take()).resolve(authorityOf({}, { tenant: "other" as Tenant }));
  assert.equal((await socket.next())["code"], "forbidden");
  assert.deepEqual(host.admitted, []);
});

Deno.test("an unexpected error is reported with its tenant and answered without details", async () => {
  await using store = await openEmbedded();
  const told: unknown[] = [];
  const unforeseen = new Error("unforeseen");
  await using host = new SocketHost({
    log: await store.isolate(),
    client: {
      authority: authorityOf(undefined, { tenant: "acme" as Tenant }),
      published() {
        throw unforeseen;
      },
    },
    onError: (cause, tenant) => void told.push([cause, tenant]),
  });
  await using socket = await SocketClient.open(host.url);
  socket.send({ op: "publish", ref: 1, channel: "a", data: 1 });
  const { code, detail } = await socket.next();
  assert.equal(code, "internal");
  assert.doesNotMatch(String(detail), /unforeseen/);
  assert.deepEqual(told, [[unforeseen, "acme"]]);
});
