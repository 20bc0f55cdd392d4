import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bearer, type Guarded, guardedServer } from "../support/guarded.ts";
import { checkLooks, findFaults, openPage, setLook } from "../support/pages.ts";
import { publish } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const options = { ignore: CHROMIUM_MISSING };

Deno.test("two people talk, each under a name", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  const bob = await chromium.newVisitor();
  await enter(ann, server, "Ann");
  await enter(bob, server, "Bob");

  await say(ann, "Hello, who is there?");
  await said(bob, "Hello, who is there?").waitFor();
  await say(bob, "Me.\nAnd nobody else.");
  await say(ann, "Good.");
  await said(bob, "Good.").waitFor();
  await said(ann, "And nobody else.").waitFor();

  const expected = ["Hello, who is there?", "Me.\nAnd nobody else.", "Good."];
  assert.deepEqual(await texts(ann), expected);
  assert.deepEqual(await texts(bob), expected);
  assert.deepEqual(await names(bob), ["Ann", "Bob", "Ann"]);
  assert.equal(await bob.locator("[data-mine=true]").count(), 1);
  // The name and the messages are there again; to say them twice would be one too many.
  await bob.reload();
  await said(bob, "Good.").waitFor();
  assert.deepEqual(await texts(bob), expected);
  assert.equal(await bob.locator("[data-mine=true]").count(), 1);
  assert.equal(await bob.getByText("You are Bob").count(), 1);
  assert.deepEqual(chromium.errors, []);
});

Deno.test("a server that is killed under a talk costs nobody a word", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  const bob = await chromium.newVisitor();
  await enter(ann, server, "Ann");
  await enter(bob, server, "Bob");
  for (let i = 0; i < 3; i++) await say(i % 2 === 0 ? ann : bob, `before ${i}`);
  await said(ann, "before 2").waitFor();

  await server.kill();
  await state(ann, "reconnecting").filter({ hasText: /^Reconnecting\s*in \d+\.\d s$/ }).waitFor();
  await state(bob, "reconnecting").waitFor();
  await ann.getByText("Messages are sent when the connection is back.").waitFor();
  await say(ann, "while it was away 1");
  await say(bob, "while it was away 2");
  await ann.locator('[data-status="waiting"]', { hasText: "Waiting for a connection" }).waitFor();
  await server.start();
  for (const page of [ann, bob]) {
    await isOpen(page);
    await said(page, "while it was away 1").waitFor();
    await said(page, "while it was away 2").waitFor();
  }
  await say(bob, "after");
  await said(ann, "after").waitFor();
  await said(bob, "after").waitFor();

  const shown = await texts(ann);
  assert.deepEqual(await texts(bob), shown);
  assert.deepEqual([...shown].sort(), [
    "after",
    "before 0",
    "before 1",
    "before 2",
    "while it was away 1",
    "while it was away 2",
  ]);
  assert.equal(await ann.locator('[data-kind="gap"], [data-kind="sending"]').count(), 0);
});

Deno.test(
  "what is written offline is sent once, in order, when there is a network",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const ann = chromium.page;
    const bob = await chromium.newVisitor();
    await enter(ann, server, "Ann");
    await enter(bob, server, "Bob");
    await say(bob, "online");
    await said(ann, "online").waitFor();

    await ann.context().setOffline(true);
    await state(ann, "offline").waitFor();
    await say(ann, "offline 1");
    await say(ann, "offline 2");
    assert.equal(await ann.locator('[data-status="waiting"]').count(), 2);
    await say(bob, "meanwhile");
    await ann.context().setOffline(false);
    await isOpen(ann);
    const expected = ["online", "meanwhile", "offline 1", "offline 2"];
    for (const page of [ann, bob]) {
      await said(page, "offline 2").waitFor();
      assert.deepEqual(await texts(page), expected);
    }
    assert.equal(await ann.locator('[data-kind="sending"]').count(), 0);
  },
);

Deno.test("what was written before the page went is there when it is back", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  await enter(ann, server, "Ann");
  await server.kill();
  await state(ann, "reconnecting").waitFor();
  await say(ann, "unsent 1");
  await say(ann, "unsent 2");
  await field(ann).fill("half a sen");
  await ann.goto("about:blank");
  await server.start();

  await openPage(ann, chatUrl(server, "lobby"));
  assert.equal(await field(ann).inputValue(), "half a sen");
  await said(ann, "unsent 2").waitFor();
  await until(
    "both are in the room",
    async () => await ann.locator('[data-kind="sending"]').count() === 0,
  );
  await openPage(ann, chatUrl(server, "lobby"));
  await said(ann, "unsent 2").waitFor();
  assert.deepEqual(await texts(ann), ["unsent 1", "unsent 2"]);
});

Deno.test("who is here shows to all, and two tabs of one person count once", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  const bob = await chromium.newVisitor();
  await enter(ann, server, "Ann");
  await enter(bob, server, "Bob");
  const second = await chromium.newTab();
  await openPage(second, chatUrl(server, "lobby"));
  await isOpen(second);

  for (const page of [ann, second]) await here(page, ["Ann you", "Bob"]);
  await here(bob, ["Bob you", "Ann"]);
  await second.getByRole("button", { name: "Change" }).click();
  await second.getByLabel("Your name").fill("Ann Lee");
  await second.getByLabel("Your name").press("Enter");
  await here(bob, ["Bob you", "Ann Lee"]);
  await ann.getByText("You are Ann Lee").waitFor();

  await second.close();
  await go(ann, "elsewhere");
  await here(ann, ["Ann Lee you"]);
  await here(bob, ["Bob you"]);
  assert.deepEqual(chromium.errors, []);
});

Deno.test("typing shows to others for a while, and ends with the message", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  const bob = await chromium.newVisitor();
  await enter(ann, server, "Ann");
  await enter(bob, server, "Bob");
  const typing = bob.locator(".chat-typing");

  await field(ann).pressSequentially("Hel");
  await typing.filter({ hasText: "Ann is typing…" }).waitFor();
  assert.equal(await ann.locator(".chat-typing").innerText(), "");
  await typing.filter({ hasText: /^$/ }).waitFor();
  await field(ann).pressSequentially("lo");
  await typing.filter({ hasText: "Ann is typing…" }).waitFor();
  await ann.keyboard.press("Enter");
  await said(bob, "Hello").waitFor();
  assert.equal(await typing.innerText(), "");
  assert.deepEqual(chromium.errors, []);
});

Deno.test(
  "history goes back to the first message, and the page stays where it is",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page } = chromium;
    await tell(server, "old", Array.from({ length: 500 }, (_, i) => `number ${i + 1}.`));
    await enter(page, server, "Ann", "old");
    await said(page, "number 500.").waitFor();
    assert.equal((await texts(page)).length, 50);
    assert.equal(await page.getByText("This is the start of").count(), 0);

    for (let count = 50; count < 500; count = (await texts(page)).length) {
      const first = page.locator(".chat-row").first();
      const key = await first.getAttribute("data-key");
      await scrollTo(page, 0);
      await until("an earlier page is there", async () => (await texts(page)).length > count);
      // What was at the top is still where it was.
      const row = page.locator(`[data-key="${key}"]`);
      const top = await row.evaluate((row) => (row as HTMLElement).offsetTop);
      const scrolled = await page.locator(".chat-scroll").evaluate(({ scrollTop }) => scrollTop);
      assert.ok(Math.abs(top - scrolled) < 100, `${top} px, seen from ${scrolled} px`);
    }
    await page.getByText("This is the start of old.").waitFor();
    assert.deepEqual(await texts(page), Array.from({ length: 500 }, (_, i) => `number ${i + 1}.`));

    // What comes meanwhile doesn't move the page, and is one step away.
    await scrollTo(page, 0);
    await tell(server, "old", ["number 501."]);
    await page.getByRole("button", { name: "1 new message" }).click();
    await said(page, "number 501.").waitFor();
    await until("the end is seen", async () => await page.locator(".newest").count() === 0);
    assert.equal(await page.locator(".chat-rule.is-new").count(), 1);
    assert.deepEqual(chromium.errors, []);
  },
);

Deno.test("what was not read is counted and marked, in every room", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await tell(server, "lobby", ["old"]);
  await tell(server, "other", ["first"]);
  await enter(page, server, "Ann");
  await said(page, "old").waitFor();
  await page.getByRole("link", { name: "other" }).click();
  await said(page, "first").waitFor();
  assert.equal(new URL(page.url()).searchParams.get("room"), "other");

  await tell(server, "lobby", ["new 1", "new 2"]);
  await page.getByRole("link", { name: /lobby 2\s*unread/ }).waitFor();
  await until("the title says so", async () => await page.title() === "(2) other · Chat · Weir");
  await page.goBack();
  await said(page, "new 2").waitFor();
  assert.equal(await marked(page), "new 1");
  await until("it is read", async () => await page.title() === "lobby · Chat · Weir");

  // Nobody sees the page: then nothing is read, and the title counts.
  await setHidden(page, true);
  await tell(server, "lobby", ["unseen 1", "unseen 2", "unseen 3"]);
  await until("the title counts", async () => await page.title() === "(3) lobby · Chat · Weir");
  await setHidden(page, false);
  await until("it is read", async () => await page.title() === "lobby · Chat · Weir");
  assert.equal(await marked(page), "unseen 1");

  // What comes while the page is closed is unread when it is open again.
  await page.goto("about:blank");
  await tell(server, "other", ["away"]);
  await openPage(page, chatUrl(server, "lobby"));
  await page.getByRole("link", { name: /other 1\s*unread/ }).click();
  await said(page, "away").waitFor();
  assert.equal(await marked(page), "away");
  assert.deepEqual(chromium.errors, []);
});

Deno.test("what another tab has read is read here", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const first = chromium.page;
  await enter(first, server, "Ann", "a");
  await go(first, "b");
  const second = await chromium.newTab();
  await openPage(second, chatUrl(server, "b"));
  await isOpen(second);
  await tell(server, "a", ["news"]);
  for (const page of [first, second]) {
    await page.getByRole("link", { name: /a 1\s*unread/ }).waitFor();
  }
  await second.getByRole("link", { name: /a 1\s*unread/ }).click();
  await said(second, "news").waitFor();
  await until("the other tab knows", async () => await first.title() === "b · Chat · Weir");
  assert.deepEqual(chromium.errors, []);
});

Deno.test(
  "a room that is followed no longer is gone, and the page is in another",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page } = chromium;
    const followed = page.getByRole("navigation", { name: "Rooms you follow" }).getByRole("link");
    await enter(page, server, "Ann");
    assert.equal(await page.getByRole("button", { name: /^Stop following/ }).count(), 0);
    await go(page, "a");
    await go(page, "b");
    assert.equal(await followed.count(), 3);
    await page.getByRole("button", { name: "Stop following b" }).click();
    await page.getByRole("heading", { name: "a", exact: true }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get("room"), "a");
    await page.reload();
    await isOpen(page);
    assert.deepEqual(await followed.locator("bdi").allInnerTexts(), ["a", "lobby"]);
    assert.deepEqual(chromium.errors, []);
  },
);

Deno.test(
  "on a slow network messages are sent in order, and say that they are",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page } = chromium;
    await tell(server, "lobby", Array.from({ length: 120 }, (_, i) => `number ${i + 1}.`));
    const network = await page.context().newCDPSession(page);
    await network.send("Network.enable");
    await network.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: 400,
      downloadThroughput: 30_000,
      uploadThroughput: 10_000,
    });
    await enter(page, server, "Ann");
    await said(page, "number 120.").waitFor();
    for (let i = 1; i <= 5; i++) await say(page, `mine ${i}`);
    await page.locator('[data-status="waiting"]', { hasText: "Sending…" }).first().waitFor();
    await said(page, "mine 5").waitFor();
    assert.deepEqual((await texts(page)).slice(-5), [1, 2, 3, 4, 5].map((i) => `mine ${i}`));
    await scrollTo(page, 0);
    await said(page, "number 21.").waitFor();
    await scrollTo(page, 0);
    await page.getByText("This is the start of lobby.").waitFor();
    assert.equal((await texts(page)).length, 125);
    assert.deepEqual(chromium.errors, []);
  },
);

Deno.test("what is hostile is text, and what is long is folded", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await enter(page, server, "Ann");
  const hostile = `<img src=x onerror="document.title='run'"><script>alert(1)</script>`;
  await say(page, hostile);
  await said(page, "<img src=x").waitFor();
  await tell(server, "lobby", ["javascript:alert(1) https://example.com/a."], hostile);
  await said(page, "javascript:").waitFor();
  assert.deepEqual((await texts(page))[0], hostile);
  assert.equal(await page.locator(".chat-scroll :is(img, script)").count(), 0);
  const link = page.locator(".chat-text a");
  assert.deepEqual(await link.allInnerTexts(), ["https://example.com/a"]);
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");

  const long = "word ".repeat(1_999) + "and end"; // 10,002 characters
  await field(page).fill(long);
  await page.keyboard.press("Enter");
  const text = said(page, "word word");
  await text.waitFor();
  assert.ok((await text.innerText()).length < 2_100);
  await page.getByRole("button", { name: "Show all 10,002 characters" }).click();
  assert.equal(await text.innerText(), long);
  // Who has unfolded it reads it: what comes doesn't move the page.
  await tell(server, "lobby", ["meanwhile"]);
  await page.getByRole("button", { name: "1 new message" }).click();
  await say(page, "x".repeat(500));
  await said(page, "xxxx").waitFor();
  await field(page).fill("y".repeat(20_001));
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "at most 20,000 characters" }).waitFor();
  assert.equal(await field(page).inputValue().then(({ length }) => length), 20_001);
  await field(page).fill("");

  await publish(server.url, "chat:lobby", { name: "Eve" }, { "Weir-Type": "chat.message" });
  await publish(server.url, "chat:lobby", [1], { "Weir-Type": "reading" });
  await publish(server.url, "chat:lobby", [2], { "Weir-Type": "reading" });
  await page.getByText("2 other events: reading").waitFor();
  await checkLooks(page, "chat-hostile");
  assert.deepEqual(chromium.errors, []);
});

Deno.test("the chat is good to look at, and by the keyboard", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await tell(server, "release", ["The build is done."], "Eve");
  await openPage(page, chatUrl(server, "lobby"));
  await isOpen(page);
  await page.getByText("No messages yet.").waitFor();
  await checkLooks(page, "chat-empty");

  // From the field, where the page begins, and back to it.
  assert.equal(await isFocused(page, "textarea"), true);
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await said(page, "one\ntwo").waitFor();
  assert.equal(await isFocused(page, "textarea"), true);
  await page.getByRole("button", { name: "Send" }).click();
  assert.equal(await isFocused(page, "textarea"), true);
  assert.equal((await texts(page)).length, 1);
  await tell(server, "lobby", ["Nice.", "See https://example.com/x"], "Bob");
  await said(page, "See").waitFor();
  assert.deepEqual(await page.getByRole("log").locator("p").allInnerTexts(), [
    "Bob: Nice.",
    "Bob: See https://example.com/x",
  ]);
  await checkLooks(page, "chat");

  await setLook(page, "dark", "phone");
  await page.getByRole("button", { name: "Rooms" }).click();
  await page.getByRole("link", { name: "release" }).waitFor();
  assert.deepEqual(await findFaults(page), []);
  await page.keyboard.press("Escape");
  assert.equal(await isFocused(page, ".for-rooms"), true);
  assert.equal(await page.getByRole("link", { name: "release" }).isVisible(), false);
  await page.getByRole("button", { name: "People" }).click();
  assert.deepEqual(await findFaults(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Rooms" }).click();
  const room = page.getByLabel("Open or create a room");
  await room.fill("night shift");
  await room.press("Enter");
  await page.getByRole("heading", { name: "night shift" }).waitFor();
  assert.deepEqual(chromium.errors, []);
});

Deno.test("nothing in the panel of rooms covers another, whatever the width", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await openPage(page, chatUrl(server, "lobby"));
  for (const width of [641, 720, 1_000, 1_440]) {
    await page.setViewportSize({ width, height: 450 });
    const field = await page.getByLabel("Open or create a room").boundingBox();
    const button = await page.getByRole("button", { name: "Go", exact: true }).boundingBox();
    assert.ok((field?.x ?? 0) + (field?.width ?? 0) <= (button?.x ?? 0), `at ${width} pixels`);
  }
});

Deno.test("a room that is deleted and made again says so", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await enter(page, server, "Ann");
  await say(page, "before");
  await said(page, "before").waitFor();
  const deleted = await fetch(`${server.url}/v1/channels/chat%3Alobby`, { method: "DELETE" });
  assert.equal(deleted.status, 204);
  await say(page, "after");
  await said(page, "after").waitFor();
  assert.deepEqual(await page.locator('[data-kind="gap"]').allInnerTexts(), [
    "The room was deleted and created again. Others can't see the messages above.",
  ]);
  await page.reload();
  await said(page, "after").waitFor();
  assert.deepEqual(await texts(page), ["after"]);
});

Deno.test("a message that is refused for good can be sent again or dropped", options, async () => {
  await using weir = await guardedServer({ WEIR_TENANT_CHANNELS: "1" });
  await using chromium = await Chromium.open();
  const { page } = chromium;
  const admin = bearer(await weir.token({ publish: ["**"], manage: ["**"] }));
  await publish(weir.url, "only", 1, admin);
  await signIn(page, weir, { weir: { publish: ["chat:*"], subscribe: ["chat:*"] } });
  await say(page, "one");
  await say(page, "two");
  const refused = page.locator('[data-status="refused"]');
  await refused.nth(1).filter({ hasText: "Not sent: This tenant may have 1 channels" }).waitFor();
  await refused.first().getByRole("button", { name: "Discard" }).click();

  const made = await fetch(`${weir.url}/v1/channels/only`, { method: "DELETE", headers: admin });
  assert.equal(made.status, 204);
  const again = refused.getByRole("button", { name: "Try again" });
  await until("there is room for another channel", async () => {
    for (const button of await again.all()) await button.click();
    return await said(page, "two").count() === 1;
  });
  assert.deepEqual(await texts(page), ["two"]);
  assert.equal(await refused.count(), 0);
});

Deno.test("who is signed in has that name, and no right is missed silently", options, async () => {
  await using weir = await guardedServer();
  await using chromium = await Chromium.open();
  const ann = chromium.page;
  await signIn(ann, weir, {});
  await ann.getByText("You are ann").waitFor();
  assert.equal(await ann.getByRole("button", { name: "Change" }).count(), 0);
  await say(ann, "Hello");
  await said(ann, "Hello").waitFor();
  await here(ann, ["ann you"]);

  const reader = await chromium.newVisitor();
  await signIn(reader, weir, { sub: "bob", weir: { subscribe: ["chat:*"] } });
  await said(reader, "Hello").waitFor();
  await reader.getByText("You don't have permission to post in this room.").waitFor();
  await reader.getByText("You don't have permission to see who is here.").waitFor();
  await checkLooks(reader, "chat-reader");
  await go(reader, "elsewhere/else");
  await reader.getByText("You don't have permission to read this room.").waitFor();

  const writer = await chromium.newVisitor();
  await signIn(writer, weir, { sub: "cid", weir: { publish: ["chat:*"] } });
  await writer.getByText("You don't have permission to read this room.").waitFor();
  await say(writer, "Into the dark");
  await writer.getByText("Sent", { exact: true }).waitFor();
  await said(ann, "Into the dark").waitFor();
});

Deno.test("without WebSockets who is signed in is seen all the same", options, async () => {
  await using weir = await guardedServer();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await page.addInitScript(() => {
    // As where something on the way lets none through.
    globalThis.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(new URL("/healthz", url), protocols);
      }
    };
  });
  await signIn(page, weir, {});
  await page.getByText("Connected via server-sent events").waitFor();
  await here(page, ["ann you"]);
  assert.equal(await page.getByText("Others can't see you").count(), 0);
});

Deno.test("a browser that keeps nothing chats all the same", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await page.addInitScript(() => {
    Object.defineProperty(globalThis, "localStorage", {
      get() {
        throw new DOMException("denied", "SecurityError");
      },
    });
  });
  await enter(page, server, "Ann");
  await say(page, "Hello");
  await said(page, "Hello").waitFor();
  await go(page, "other");
  await go(page, "lobby");
  await said(page, "Hello").waitFor();
  assert.equal(await page.locator("[data-mine=true]").count(), 1);
  assert.deepEqual(chromium.errors, []);
});

Deno.test("a room that no channel can be called is refused with a sentence", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await page.goto(chatUrl(server, "x".repeat(300)));
  await page.getByText("The name is too long").waitFor();
  await enter(page, server, "Ann");
  await page.getByLabel("Open or create a room").fill("y".repeat(300));
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "The name is too long" }).waitFor();
});

Deno.test(
  "who is not signed in chats where everyone may, and is told so elsewhere",
  options,
  async () => {
    const room = "chat:public-*";
    const rights = `subscribe:${room} publish:${room} presence:${room}`;
    await using weir = await guardedServer({ WEIR_ANONYMOUS: rights });
    await using chromium = await Chromium.open();
    const ann = chromium.page;
    await enter(ann, weir.server, "Ann", "public-1");
    await ann.locator("summary", { hasText: "Sign in" }).waitFor();
    const bob = await chromium.newVisitor();
    await enter(bob, weir.server, "Bob", "public-1");
    await here(ann, ["Ann you", "Bob"]);
    await say(ann, "Hello");
    await said(bob, "Hello").waitFor();
    await here(bob, ["Bob you", "Ann"]);
    await checkLooks(ann, "chat-anonymous");

    const cid = await chromium.newVisitor();
    await openPage(cid, chatUrl(weir, "lobby"));
    await cid.getByText("You don't have permission to read this room.").waitFor();
    await cid.getByText("You don't have permission to post in this room.").waitFor();
    await cid.getByText("You don't have permission to see who is here.").waitFor();
    assert.equal(await cid.locator(".chat-status").innerText(), "Not connected");
    assert.deepEqual(chromium.errors, []);
  },
);

/** Opens the chat, and chooses a name. Answers once the connection is open. */
async function enter(page: Page, server: WeirServer, name: string, room = "lobby"): Promise<void> {
  await openPage(page, chatUrl(server, room));
  const field = page.getByLabel("Your name");
  await field.fill(name);
  await field.press("Enter");
  await isOpen(page);
}

function chatUrl({ url }: { readonly url: string }, room: string): string {
  return `${url}/chat?${new URLSearchParams({ room })}`;
}

async function isOpen(page: Page): Promise<void> {
  await page.locator('.connection[data-status="open"]').waitFor();
}

function field(page: Page) {
  return page.getByLabel(/^Message to /);
}

/** Writes by the keyboard, and sends. */
async function say(page: Page, text: string): Promise<void> {
  await field(page).focus();
  for (const [i, line] of text.split("\n").entries()) {
    if (i > 0) await page.keyboard.press("Shift+Enter");
    await page.keyboard.insertText(line);
  }
  await page.keyboard.press("Enter");
}

/** The message that has this text in it, once it is in the room. */
function said(page: Page, text: string) {
  return page.locator('[data-kind="message"] .chat-text', { hasText: text });
}

async function texts(page: Page): Promise<readonly string[]> {
  return await page.locator(".chat-text").allInnerTexts();
}

async function names(page: Page): Promise<readonly string[]> {
  return await page.locator(".chat-name").allInnerTexts();
}

function state(page: Page, status: string) {
  return page.locator(`.connection[data-status="${status}"]`);
}

/** Publishes messages of somebody elsewhere. */
async function tell(
  { url }: { readonly url: string },
  room: string,
  texts: readonly string[],
  name = "Eve",
): Promise<void> {
  for (let i = 0; i < texts.length; i += 100) {
    const events = texts.slice(i, i + 100).map((text) => ({
      channel: `chat:${room}`,
      type: "chat.message",
      data: { name, text },
    }));
    const answer = await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ events }),
    });
    assert.equal(answer.status, 201, await answer.text());
  }
}

/** Goes to a room by the field. */
async function go(page: Page, room: string): Promise<void> {
  await page.getByLabel("Open or create a room").fill(room);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: room, exact: true }).waitFor();
}

/** Once just these are here. */
async function here(page: Page, people: readonly string[]): Promise<void> {
  await until(`${people.join(", ")} are here`, async () => {
    const shown = await page.locator(".chat-person").allTextContents();
    const names = await page.locator(".chat-person").evaluateAll((rows) =>
      rows.map((row) => [...row.children].slice(1).map(({ textContent }) => textContent).join(" "))
    );
    return shown.length === people.length && names.join() === people.join();
  });
}

async function scrollTo(page: Page, top: number): Promise<void> {
  await page.locator(".chat-scroll").evaluate((box, top) => box.scrollTop = top, top);
}

/** The text under the mark "new". */
async function marked(page: Page): Promise<string> {
  const row = page.locator(".chat-row", { has: page.locator(".is-new") });
  return await row.locator(".chat-text").innerText();
}

/** Headless pages are never hidden: so they are told that they are. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden ? "hidden" : "visible");
}

async function isFocused(page: Page, selector: string): Promise<boolean> {
  return await page.evaluate((s) => document.activeElement?.matches(s) === true, selector);
}

/** Opens the lobby with the session of a token that has these claims. */
async function signIn(
  page: Page,
  weir: Guarded<WeirServer>,
  { weir: rights, ...claims }: { readonly weir?: Readonly<Record<string, unknown>>; sub?: string },
): Promise<void> {
  const all = { publish: ["**"], subscribe: ["**"], presence: ["**"] };
  await page.goto(chatUrl(weir, "lobby"));
  await page.getByLabel("Token").fill(await weir.token(rights ?? all, claims));
  await page.locator(".sign-in").getByRole("button", { name: "Sign in" }).click();
  await page.locator("#island[data-hydrated]").waitFor({ state: "attached" });
}
