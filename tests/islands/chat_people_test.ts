import assert from "node:assert/strict";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import { chatUrl, enter, field, go, here, isOpen, said, say, signIn } from "./chat_page.ts";

browserTest(
  "everyone sees who is in the room, and two tabs count as one person",
  async ({ server, chromium, page: ann }) => {
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
  },
);

browserTest(
  "others see who is typing until the message arrives",
  async ({ server, chromium, page: ann }) => {
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
  },
);

guardedBrowserTest(
  "a signed-in visitor has the token's name, and missing rights are explained",
  {},
  async ({ server: weir, chromium, page: ann }) => {
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
  },
);

guardedBrowserTest(
  "presence works without WebSockets",
  {},
  async ({ server: weir, page }) => {
    await page.addInitScript(() => {
      // As behind a proxy without support for WebSockets.
      globalThis.WebSocket = class extends WebSocket {
        constructor(url: string | URL, protocols?: string | string[]) {
          super(new URL("/healthz", url), protocols);
        }
      };
    });
    await signIn(page, weir, {});
    await page.getByText("Connected · server-sent events").waitFor();
    await here(page, ["ann you"]);
    assert.equal(await page.getByText("Others can't see you").count(), 0);
  },
);

guardedBrowserTest(
  "anonymous visitors chat where they have rights and see why they can't elsewhere",
  {
    WEIR_ANONYMOUS: "subscribe:chat:public-* publish:chat:public-* presence:chat:public-*",
  },
  async ({ server: weir, chromium, page: ann }) => {
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
