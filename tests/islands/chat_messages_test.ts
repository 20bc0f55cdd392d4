import assert from "node:assert/strict";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { bearer } from "../support/guarded.ts";
import { checkLooks, findFaults, openPage, setLook } from "../support/pages.ts";
import { publish } from "../support/publishing.ts";
import { until } from "../support/until.ts";
import {
  chatUrl,
  enter,
  field,
  go,
  isFocused,
  isOpen,
  names,
  said,
  say,
  scrollTo,
  signIn,
  state,
  tell,
  texts,
} from "./chat_page.ts";

browserTest("two people chat under their names", async ({ server, chromium, page: ann }) => {
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
  // After a reload the name and each message are there once.
  await bob.reload();
  await said(bob, "Good.").waitFor();
  assert.deepEqual(await texts(bob), expected);
  assert.equal(await bob.locator("[data-mine=true]").count(), 1);
  assert.equal(await bob.getByText("You are Bob").count(), 1);
  assert.deepEqual(chromium.errors, []);
});

browserTest(
  "no message is lost when the server is killed",
  async ({ server, chromium, page: ann }) => {
    const bob = await chromium.newVisitor();
    await enter(ann, server, "Ann");
    await enter(bob, server, "Bob");
    for (let i = 0; i < 3; i++) await say(i % 2 === 0 ? ann : bob, `before ${i}`);
    await said(ann, "before 2").waitFor();

    await server.kill();
    await state(ann, "reconnecting").filter({ hasText: /^Can't reach the server. Retrying…$/ })
      .waitFor();
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
  },
);

browserTest(
  "messages written offline are sent once and in order after reconnecting",
  async ({ server, chromium, page: ann }) => {
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

browserTest(
  "drafts and unsent messages survive a reload",
  async ({ server, page: ann }) => {
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
  },
);

browserTest(
  "history loads back to the first message and keeps the scroll position",
  async ({ server, chromium, page }) => {
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
      // The row at the top has kept its place.
      const row = page.locator(`[data-key="${key}"]`);
      const top = await row.evaluate((row) => (row as HTMLElement).offsetTop);
      const scrolled = await page.locator(".chat-scroll").evaluate(({ scrollTop }) => scrollTop);
      assert.ok(Math.abs(top - scrolled) < 100, `${top} px, seen from ${scrolled} px`);
    }
    await page.getByText("This is the start of old.").waitFor();
    assert.deepEqual(await texts(page), Array.from({ length: 500 }, (_, i) => `number ${i + 1}.`));

    // A new message doesn't move the page, and a button leads to it.
    await scrollTo(page, 0);
    await tell(server, "old", ["number 501."]);
    await page.getByRole("button", { name: "1 new message" }).click();
    await said(page, "number 501.").waitFor();
    await until("the end is seen", async () => await page.locator(".newest").count() === 0);
    assert.equal(await page.locator(".chat-rule.is-new").count(), 1);
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "messages are sent in order on a slow network and show their state",
  async ({ server, chromium, page }) => {
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
    const sayAll = async () => {
      for (let i = 1; i <= 5; i++) await say(page, `mine ${i}`);
    };
    // Each is shown so only until its answer comes, so the wait begins before the first.
    const sending = page.locator('[data-status="waiting"]', { hasText: "Sending…" }).first();
    await Promise.all([sending.waitFor(), sayAll()]);
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

browserTest(
  "hostile text is not markup, and long messages are folded",
  async ({ server, chromium, page }) => {
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
    // New messages don't move the page while the unfolded one is read.
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
  },
);

browserTest(
  "the chat is accessible in every look and works by keyboard",
  async ({ server, chromium, page }) => {
    await tell(server, "release", ["The build is done."], "Eve");
    await openPage(page, chatUrl(server, "lobby"));
    await isOpen(page);
    await page.getByText("No messages yet.").waitFor();
    await checkLooks(page, "chat-empty");

    // The focus starts in the field and returns to it.
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
  },
);

guardedBrowserTest("a refused message can be retried or discarded", {
  WEIR_TENANT_CHANNELS: "1",
}, async ({ server: weir, page }) => {
  const admin = bearer(await weir.token({ publish: ["**"], manage: ["**"] }));
  await publish(weir.url, "only", 1, admin);
  await signIn(page, weir, { weir: { publish: ["chat:*"], subscribe: ["chat:*"] } });
  await say(page, "one");
  await say(page, "two");
  const refused = page.locator('[data-status="refused"]');
  await refused.nth(1).filter({
    hasText: "Not sent: This tenant has reached its limit of 1 channels",
  }).waitFor();
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

browserTest("the chat works without localStorage", async ({ server, page, errors }) => {
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
  assert.deepEqual(errors, []);
});
