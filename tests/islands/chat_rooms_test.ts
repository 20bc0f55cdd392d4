import assert from "node:assert/strict";
import { browserTest } from "../support/browser_fixture.ts";
import { openPage } from "../support/pages.ts";
import { until } from "../support/until.ts";
import {
  chatUrl,
  enter,
  go,
  isOpen,
  marked,
  said,
  say,
  setHidden,
  tell,
  texts,
} from "./chat_page.ts";

browserTest(
  "unread messages are counted and marked in every room",
  async ({ server, chromium, page }) => {
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

    // On a hidden page nothing counts as read, and the title shows the number.
    await setHidden(page, true);
    await tell(server, "lobby", ["unseen 1", "unseen 2", "unseen 3"]);
    await until("the title counts", async () => await page.title() === "(3) lobby · Chat · Weir");
    await setHidden(page, false);
    await until("it is read", async () => await page.title() === "lobby · Chat · Weir");
    assert.equal(await marked(page), "unseen 1");

    // Messages that arrive while the page is closed are unread later.
    await page.goto("about:blank");
    await tell(server, "other", ["away"]);
    await openPage(page, chatUrl(server, "lobby"));
    await page.getByRole("link", { name: /other 1\s*unread/ }).click();
    await said(page, "away").waitFor();
    assert.equal(await marked(page), "away");
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "messages read in one tab are read in the others",
  async ({ server, chromium, page: first }) => {
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
  },
);

browserTest(
  "leaving a room shows another one",
  async ({ server, chromium, page }) => {
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

browserTest(
  "nothing in the room panel overlaps at any width",
  async ({ server, page }) => {
    await openPage(page, chatUrl(server, "lobby"));
    for (const width of [641, 720, 1_000, 1_440]) {
      await page.setViewportSize({ width, height: 450 });
      const field = await page.getByLabel("Open or create a room").boundingBox();
      const button = await page.getByRole("button", { name: "Go", exact: true }).boundingBox();
      assert.ok((field?.x ?? 0) + (field?.width ?? 0) <= (button?.x ?? 0), `at ${width} pixels`);
    }
  },
);

browserTest("a room that was deleted and recreated shows a gap", async ({ server, page }) => {
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

browserTest(
  "an invalid room name is refused with a reason",
  async ({ server, page }) => {
    await page.goto(chatUrl(server, "x".repeat(300)));
    await page.getByText("The name is too long").waitFor();
    await enter(page, server, "Ann");
    await page.getByLabel("Open or create a room").fill("y".repeat(300));
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "The name is too long" }).waitFor();
  },
);
