import assert from "node:assert/strict";
import { connect, TRANSPORTS } from "../../lib/client/client.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import { LISTENERS } from "../support/listeners.ts";
import { LocalServer } from "../support/local_server.ts";
import { publishUntilDelivered } from "../support/ephemeral_events.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { READERS, readUrl, takeEvents } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

const ALL = { publish: ["**"], subscribe: ["**"], presence: ["**"] };
const EVERYONE = { WEIR_ANONYMOUS: "publish:** subscribe:** presence:**" };
/** The longest subjects that a token may have: 256 UTF-16 units. */
const LONGEST = ["x".repeat(256), "€".repeat(256), "😀".repeat(128)];

/** Makes an API key of the tenant `default`. */
async function makeKey(weir: Guarded<LocalServer>) {
  const { status, json } = await call(weir.url, "/v1/keys", {
    method: "POST",
    headers: bearer(await weir.token({ admin: true })),
    body: JSON.stringify(ALL),
  });
  assert.equal(status, 201);
  return json as { readonly id: string; readonly key: string };
}

async function publishJson(url: string, body: unknown, headers: Readonly<Record<string, string>>) {
  return await call(url, "/v1/events", { method: "POST", headers, body: JSON.stringify(body) });
}

/** Returns the publishers of all events of the channel. */
async function publishersOf(
  weir: { readonly url: string },
  channel: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly unknown[]> {
  const page = await call(weir.url, readUrl("", [channel], { after: "earliest" }), { headers });
  return page.json.events.map((event: object) =>
    "publisher" in event ? event.publisher : undefined
  );
}

for (const [transport, open] of Object.entries(READERS)) {
  Deno.test(`${transport} says who published an event, in whichever way`, async () => {
    await using weir = await guardedLocal(EVERYONE);
    const { id, key } = await makeKey(weir);
    const [a, b] = [newChannel(), newChannel()].sort() as [string, string];
    await using one = await open(weir.url, [a]);
    await using two = await open(weir.url, [a, b]);
    const ann = await weir.token(ALL);
    const bob = await weir.token(ALL, { sub: "bob 😀\n" });
    await publish(weir.url, a, "body", bearer(ann));
    await publishJson(weir.url, { channel: a, data: "json" }, bearer(bob));
    const events = [{ channel: a, data: "batch" }, { channel: b, data: "batch" }];
    await publishJson(weir.url, { events }, bearer(key));
    await using socket = await SocketClient.open(weir.url, { token: ann });
    socket.send({ op: "publish", ref: 1, channel: a, data: "socket" });
    await socket.until("ack");
    await publish(weir.url, a, "nobody");
    const expected = [
      ["body", "ann"],
      ["json", "bob 😀\n"],
      ["batch", `key:${id}`],
      ["socket", "ann"],
      ["nobody", undefined],
    ];
    const found = (await takeEvents(one, 5)).map(({ data, publisher }) => [data, publisher]);
    assert.deepEqual(found, expected);
    const others = (await takeEvents(two, 6)).filter(({ channel }) => channel === b);
    assert.deepEqual(others.map(({ publisher }) => publisher), [`key:${id}`]);
    const nobodys = (await takeEvents(await open(weir.url, [a], "earliest"), 5)).at(-1);
    assert.ok(nobodys !== undefined && !("publisher" in nobodys));
  });

  Deno.test(`${transport} delivers the longest names of publishers unchanged`, async () => {
    await using weir = await guardedLocal(EVERYONE);
    const channel = newChannel();
    await using reader = await open(weir.url, [channel]);
    for (const sub of LONGEST) {
      await publish(weir.url, channel, 1, bearer(await weir.token(ALL, { sub })));
    }
    const events = await takeEvents(reader, LONGEST.length);
    assert.deepEqual(events.map(({ publisher }) => publisher), LONGEST);
    const long = await weir.token(ALL, { sub: "x".repeat(257) });
    const refused = await publishJson(weir.url, { channel, data: 1 }, bearer(long));
    assertRefused(refused, 401, "token_invalid");
  });
}

for (const [transport, open] of Object.entries(LISTENERS)) {
  Deno.test(`${transport} says who published an ephemeral event`, async () => {
    await using weir = await guardedLocal(EVERYONE);
    const channel = newChannel();
    for (const sub of ["ann", ...LONGEST]) {
      await using listener = await open(weir.url, [channel]);
      const headers = bearer(await weir.token(ALL, { sub }));
      const [event] = await publishUntilDelivered(weir.url, channel, sub, [listener], headers);
      assert.equal(event?.publisher, sub);
    }
    await using listener = await open(weir.url, [channel]);
    const [event] = await publishUntilDelivered(weir.url, channel, "nobody", [listener]);
    assert.ok(event !== undefined && !("publisher" in event));
  });
}

Deno.test("a stream of data alone has no publishers", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const channel = newChannel();
  await using stream = await SseClient.open(readUrl(weir.url, [channel]));
  await publish(weir.url, channel, { text: "hi" }, bearer(await weir.token(ALL)));
  assert.equal((await stream.next()).data, `{"text":"hi"}`);
});

Deno.test("a publisher that a client sends is refused or ignored, however it is sent", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const channel = newChannel();
  const token = await weir.token(ALL, { sub: "mallory" });
  const event = { channel, data: { publisher: "ann" } };
  for (const name of ["publisher", "sub", "subject", "member", "source", "__proto__"]) {
    const spoofed = JSON.stringify(event).replace("{", `{${JSON.stringify(name)}:"ann",`);
    for (const body of [spoofed, `{"events":[${spoofed}]}`]) {
      const init = { method: "POST", headers: bearer(token), body };
      assertRefused(await call(weir.url, "/v1/events", init), 400, "bad_body");
    }
    await using socket = await SocketClient.open(weir.url, { token });
    socket.sendText(spoofed.replace("{", `{"op":"publish","ref":1,`));
    assert.equal((await socket.next())["code"], "bad_message");
  }
  assert.equal((await publishJson(weir.url, event, bearer(token))).status, 201);
  const headers = {
    ...bearer(token),
    "Content-Type": "application/json",
    "Weir-Publisher": "ann",
    "Publisher": "ann",
    "X-Publisher": "ann",
  };
  const body = `{"publisher":"ann"}`;
  const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
  assert.equal((await call(weir.url, path, { method: "POST", headers, body })).status, 201);
  const queried = await call(weir.url, `${path}?publisher=ann`, {
    method: "POST",
    headers,
    body: "1",
  });
  assertRefused(queried, 400, "unknown_parameter");
  assert.deepEqual(await publishersOf(weir, channel), ["mallory", "mallory"]);
});

Deno.test("no subject passes as an API key, or as a name that nobody has proven", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const { id } = await makeKey(weir);
  const channel = newChannel();
  const subjects = [`key:${id}`, "key:", "~ann", "Key:x", "akey:", "monkey:7"];
  for (const sub of subjects) {
    const token = await weir.token(ALL, { sub });
    await publish(weir.url, channel, sub, bearer(token));
    await using socket = await SocketClient.open(weir.url, { token });
    socket.send({ op: "enter", ref: 1, channel });
    await socket.next();
    socket.send({ op: "publish", ref: 2, channel, data: sub });
    await socket.until("ack");
  }
  const expected = [undefined, undefined, undefined, "Key:x", "akey:", "monkey:7"];
  assert.deepEqual(await publishersOf(weir, channel), expected.flatMap((name) => [name, name]));
});

Deno.test("where no credential tells, a socket publishes as the member that it is", async () => {
  await using guarded = await guardedLocal(EVERYONE);
  await using open = await LocalServer.start();
  for (const [weir, prefix] of [[guarded, "~"], [open, ""]] as const) {
    const [channel, other] = [newChannel(), newChannel()];
    await using socket = await SocketClient.open(weir.url);
    const say = async (to = channel) => {
      socket.send({ op: "publish", ref: 1, channel: to, data: 1 });
      await socket.until("ack");
    };
    await say();
    socket.send({ op: "enter", ref: 2, channel, member: "ann" });
    await socket.until("entered");
    await say();
    await say(other);
    await publish(weir.url, channel, "over HTTP, by anyone");
    socket.send({ op: "enter", ref: 3, channel, member: "bob" });
    await socket.until("entered");
    await say(); // as one of two
    socket.send({ op: "leave", ref: 4, channel, member: "ann" });
    await socket.until("left");
    await say();
    socket.send({ op: "leave", ref: 5, channel, member: "bob" });
    await socket.until("left");
    await say();
    const expected = [undefined, `${prefix}ann`, undefined, undefined, `${prefix}bob`, undefined];
    assert.deepEqual(await publishersOf(weir, channel), expected);
    assert.deepEqual(await publishersOf(weir, other), [undefined]);
  }
});

Deno.test("a member is no publisher before it has joined, nor if it was refused", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  socket.send(
    { op: "enter", ref: 1, channel, member: "ann", data: "x".repeat(2_000) },
    { op: "publish", ref: 2, channel, data: 1 },
  );
  assert.equal((await socket.next())["code"], "event_too_large");
  await socket.until("ack");
  socket.send({ op: "enter", ref: 3, channel, member: "key:giYbibGuFOFI" });
  await socket.until("entered");
  socket.send({ op: "publish", ref: 4, channel, data: 1 });
  await socket.until("ack");
  assert.deepEqual(await publishersOf(weir, channel), [undefined, undefined]);
});

Deno.test("an API key publishes as itself, not as the member that its socket is", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const { id, key } = await makeKey(weir);
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url, { token: key });
  socket.send({ op: "enter", ref: 1, channel, member: "ann" });
  await socket.until("entered");
  socket.send({ op: "publish", ref: 2, channel, data: 1 });
  await socket.until("ack");
  assert.deepEqual(await publishersOf(weir, channel), [`key:${id}`]);
});

Deno.test("a socket publishes as its current credential", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  socket.send(
    { op: "publish", ref: 1, channel, data: "before" },
    { op: "auth", ref: 2, token: await weir.token(ALL) },
    { op: "publish", ref: 3, channel, data: "after" },
  );
  while ((await socket.until("ack"))["ref"] !== 3);
  assert.deepEqual(await publishersOf(weir, channel), [undefined, "ann"]);
});

Deno.test("a ticket and the session cookie publish as the token behind them", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const token = await weir.token(ALL);
  const init = { method: "POST", headers: bearer(token) };
  const { json: { ticket } } = await call(weir.url, "/v1/tickets", init);
  await using socket = await SocketClient.open(weir.url, { query: `?ticket=${ticket}` });
  socket.send({ op: "publish", ref: 1, channel, data: 1 });
  await socket.until("ack");
  const cookie = await call(weir.url, "/v1/tickets", { ...init, body: `{"as":"cookie"}` });
  const Cookie = cookie.headers.get("set-cookie")?.split(";")[0] ?? assert.fail();
  const { status } = await publishJson(weir.url, { channel, data: 2 }, {
    Cookie,
    Origin: weir.url,
  });
  assert.equal(status, 201);
  assert.deepEqual(await publishersOf(weir, channel, bearer(token)), ["ann", "ann"]);
});

Deno.test("an event keeps its first publisher when another one repeats it", async () => {
  await using weir = await guardedLocal(EVERYONE);
  const channel = newChannel();
  const event = { channel, id: "x", data: 1 };
  const first = await publishJson(weir.url, event, bearer(await weir.token(ALL)));
  const token = await weir.token(ALL, { sub: "bob" });
  const second = await publishJson(weir.url, event, bearer(token));
  assert.deepEqual([first.status, second.status], [201, 200]);
  assert.deepEqual(await publishersOf(weir, channel), ["ann"]);
});

Deno.test("events of Weir itself have no publisher", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ ...ALL, subscribe: ["**", "$**"], admin: true });
  await makeKey(weir);
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "enter", ref: 1, channel: "room" });
  await socket.until("entered");
  for (const channel of ["$presence:room", "$audit"]) {
    assert.deepEqual(await publishersOf(weir, channel, bearer(token)), [undefined]);
  }
});

for (const transport of TRANSPORTS) {
  Deno.test(`the client knows the publisher over ${transport}`, async () => {
    await using weir = await guardedLocal();
    const channel = newChannel();
    const auth = () => weir.token(ALL);
    await using client = connect(weir.url, { auth, transports: [transport] });
    const [stored, heard] = [promise(), promise()];
    const started = Promise.withResolvers<string>();
    using _listening = client.listen(channel, {
      onStart: started.resolve,
      onEvent: ({ publisher }) => stored.resolve(publisher),
      onEphemeral: ({ publisher }) => heard.resolve(publisher),
      onGap: "throw",
    });
    await started.promise;
    await client.publish(channel, 1);
    assert.equal(await stored.promise, "ann");
    if (transport === "short-poll") return; // it has no ephemeral events
    let isHeard = false;
    void heard.promise.then(() => isHeard = true);
    // A poller receives ephemeral events only during a poll.
    while (!isHeard) await client.publish(channel, "typing", { ephemeral: true });
    assert.equal(await heard.promise, "ann");
  });
}

function promise() {
  return Promise.withResolvers<string | undefined>();
}
