import assert from "node:assert/strict";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import { until } from "../support/until.ts";
import {
  annAndBob,
  blockConnections,
  drag,
  dropUrl,
  enter,
  gateReads,
  partOf,
  person,
  pick,
  press,
  randomFile,
  save,
  sha256,
  storedBytes,
  transfer,
} from "./drop_page.ts";

const MIB = 1_024 ** 2;

browserTest("a file arrives bit by bit as it was sent", async (context) => {
  const { ann, bob } = await annAndBob(context);
  const file = randomFile("holiday.bin", 5 * MIB + 1);
  await pick(ann, "Bob", [file]);
  await transfer(ann, "holiday.bin").getByText("Waits until Bob accepts.").waitFor();
  await until("the title counts the offer", async () => (await bob.title()).startsWith("(1) "));
  await checkLooks(bob, "drop-offer");
  await press(transfer(bob, "holiday.bin", "offered"), "Accept");
  await transfer(ann, "holiday.bin", "done").waitFor();
  const { savedAs, bytes } = await save(bob, "holiday.bin");
  assert.equal(savedAs, "holiday.bin");
  assert.equal(await sha256(bytes), await sha256(file.buffer));
  await checkLooks(bob, "drop-received");
  await checkLooks(ann, "drop-sent");
  assert.deepEqual(context.errors, []);
});

browserTest("files that are dropped on a person arrive, several at once", async (context) => {
  const { ann, bob } = await annAndBob(context);
  const files = [
    randomFile("a.bin", 2 * MIB),
    randomFile("b.bin", MIB + 5),
    randomFile("empty", 0),
  ];
  await ann.getByLabel("Partial").check({ force: true });
  await drag(ann, "Bob", files);
  for (const { name } of files) await press(transfer(bob, name, "offered"), "Accept");
  for (const { name, buffer } of files) {
    const { bytes } = await save(bob, name);
    assert.equal(await sha256(bytes), await sha256(buffer), name);
    await transfer(ann, name, "done").waitFor();
  }
  assert.deepEqual(context.errors, []);
});

browserTest(
  "a file goes through the server if no connection is possible and both agree",
  async (context) => {
    const { page: ann, server, chromium } = context;
    const bob = await chromium.newVisitor();
    for (const page of [ann, bob]) await blockConnections(page);
    await enter(ann, server, "Ann");
    await enter(bob, server, "Bob");
    const target = ann.locator('.drop-target[data-status="failed"]', { hasText: "Bob" });
    await target.waitFor({ timeout: 60_000 });
    const file = randomFile("small.bin", MIB + 1);
    await pick(ann, "Bob", [file], target);
    await transfer(ann, "small.bin").getByText("You can't reach Bob directly.").waitFor();
    assert.equal(await transfer(bob, "small.bin").count(), 0);
    await checkLooks(ann, "drop-server");
    await press(transfer(ann, "small.bin"), "Send through the server");
    await transfer(bob, "small.bin").getByText("through the server, because").waitFor();
    await press(transfer(bob, "small.bin"), "Accept");
    await transfer(ann, "small.bin", "done").waitFor();
    const { bytes } = await save(bob, "small.bin");
    assert.equal(await sha256(bytes), await sha256(file.buffer));
    await pick(ann, "Bob", [randomFile("large.bin", 11 * MIB)], target);
    await transfer(ann, "large.bin", "failed").getByText("10 MiB").waitFor();
    await pick(ann, "Bob", [randomFile("secret.bin", 10)], target);
    await press(transfer(ann, "secret.bin"), "Cancel");
    await transfer(ann, "secret.bin", "cancelled").waitFor();
    assert.equal(await transfer(bob, "secret.bin").count(), 0);
    assert.deepEqual(context.errors, []);
  },
);

browserTest("an accepted file is saved as it comes where the visitor wants it", async (context) => {
  const { page: ann, server, chromium } = context;
  const bob = await chromium.newVisitor();
  // A picker cannot be operated: it returns a file of the page's private storage, or is closed.
  await bob.addInitScript(() => {
    let isClosed = true;
    Object.assign(globalThis, {
      async showSaveFilePicker({ suggestedName }: { readonly suggestedName: string }) {
        if (isClosed) {
          isClosed = false;
          throw new DOMException("closed", "AbortError");
        }
        const root = await navigator.storage.getDirectory();
        return await root.getFileHandle(suggestedName, { create: true });
      },
    });
  });
  await enter(ann, server, "Ann");
  await enter(bob, server, "Bob");
  await person(ann, "Bob").waitFor();
  const file = randomFile("film.bin", 5 * MIB + 1);
  await pick(ann, "Bob", [file]);
  await press(transfer(bob, "film.bin", "offered"), "Save to");
  await press(transfer(bob, "film.bin", "offered"), "Save to"); // the picker was closed
  await transfer(bob, "film.bin", "done").getByText("Saved as film.bin").waitFor();
  await transfer(ann, "film.bin", "done").waitFor();
  assert.equal(await transfer(bob, "film.bin").getByRole("link").count(), 0);
  await press(transfer(bob, "film.bin"), "Remove");
  const saved = await bob.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const bytes = await (await (await root.getFileHandle("film.bin")).getFile()).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  });
  assert.equal(saved, await sha256(file.buffer));
  assert.deepEqual(context.errors, []);
});

browserTest("an offer can be declined, and cancelled by the sender", async (context) => {
  const { ann, bob } = await annAndBob(context);
  await pick(ann, "Bob", [randomFile("first.bin", 1_000)]);
  await press(transfer(bob, "first.bin", "offered"), "Decline");
  await transfer(bob, "first.bin", "declined").getByText("You declined.").waitFor();
  await transfer(ann, "first.bin", "declined").getByText("Bob declined.").waitFor();
  await press(transfer(ann, "first.bin"), "Remove");
  await transfer(ann, "first.bin").waitFor({ state: "detached" });

  await pick(ann, "Bob", [randomFile("second.bin", 1_000)]);
  await transfer(bob, "second.bin", "offered").waitFor();
  await press(transfer(ann, "second.bin"), "Cancel");
  await transfer(ann, "second.bin", "cancelled").waitFor();
  await transfer(bob, "second.bin", "cancelled").waitFor();
  assert.equal(
    await transfer(bob, "second.bin").getByRole("button", { name: /^Accept/ }).count(),
    0,
  );
  assert.deepEqual(context.errors, []);
});

browserTest(
  "both sides pause, resume and cancel a transfer that is under way",
  async (context) => {
    const { ann, bob } = await annAndBob(context);
    const gate = await gateReads(ann, 2 * MIB);
    const file = randomFile("large.bin", 6 * MIB);
    await pick(ann, "Bob", [file]);
    await press(transfer(bob, "large.bin", "offered"), "Accept");
    await press(transfer(ann, "large.bin", "active"), "Pause");
    await transfer(ann, "large.bin", "paused").getByText("Paused").waitFor();
    await transfer(bob, "large.bin", "paused").getByText("Ann has paused").waitFor();
    await press(transfer(ann, "large.bin"), "Resume");
    await press(transfer(bob, "large.bin", "active"), "Pause");
    await transfer(ann, "large.bin", "paused").getByText("Bob has paused").waitFor();
    await checkLooks(bob, "drop-paused");
    await press(transfer(bob, "large.bin"), "Resume");
    await transfer(ann, "large.bin", "active").waitFor();
    await press(transfer(bob, "large.bin"), "Cancel");
    await transfer(bob, "large.bin", "cancelled").waitFor();
    await transfer(ann, "large.bin", "cancelled").waitFor();
    await press(transfer(bob, "large.bin"), "Remove");

    await gate.open();
    await pick(ann, "Bob", [file]);
    await press(transfer(bob, "large.bin", "offered"), "Accept");
    const { bytes } = await save(bob, "large.bin");
    assert.equal(await sha256(bytes), await sha256(file.buffer));
    assert.deepEqual(context.errors, []);
  },
);

browserTest(
  "a transfer continues where it was after the receiver has reloaded",
  async (context) => {
    const { ann, bob } = await annAndBob(context);
    const file = randomFile("film.bin", 24 * MIB);
    const gate = await gateReads(ann, 16 * MIB);
    await pick(ann, "Bob", [file]);
    await press(transfer(bob, "film.bin", "offered"), "Accept");
    await until("a part is on the disk", async () => await storedBytes(bob) >= 8 * MIB);
    await bob.reload();
    const resumed = transfer(bob, "film.bin");
    await resumed.waitFor();
    await until("it begins with what there was", async () => await partOf(resumed) > 0.2);
    await checkLooks(bob, "drop-resumed");
    await gate.open();
    const { bytes } = await save(bob, "film.bin");
    assert.equal(await sha256(bytes), await sha256(file.buffer));
    await transfer(ann, "film.bin", "done").waitFor();
    const read = await gate.readBytes();
    assert.ok(read < 1.7 * file.buffer.length, `${read} bytes were read for ${file.buffer.length}`);
    assert.deepEqual(context.errors, []);
  },
);

browserTest(
  "a name of a file or a person cannot be markup, a path or a disguise",
  async (context) => {
    const { ann, bob } = await annAndBob(context, "<b>Bob</b>");
    const name = "<img src=x onerror=alert(1)>\u202egpj.exe";
    await pick(ann, "<b>Bob</b>", [randomFile(name, 10)]);
    const offer = transfer(bob, "<img src=x onerror=alert(1)>", "offered");
    await press(offer, "Accept");
    const { savedAs } = await save(bob, "<img");
    assert.doesNotMatch(savedAs, /[<>/\u202e]/);
    for (const page of [ann, bob]) {
      assert.equal(await page.locator("#island img, #island b").count(), 0);
    }
    assert.deepEqual(context.errors, []);
  },
);

browserTest("the room's form opens a room by name or by link", async ({ server, page }) => {
  await openPage(page, dropUrl(server, "lobby"));
  await page.getByText("Nobody else is here.").waitFor();
  await checkLooks(page, "drop-empty");
  const field = page.getByLabel("Open or create a room");
  await field.fill("x".repeat(200));
  await field.press("Enter");
  await page.getByRole("alert").filter({ hasText: "The name is too long" }).waitFor();
  await field.fill(dropUrl(server, "night shift"));
  await field.press("Enter");
  await page.locator(".room-title", { hasText: "night shift" }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("room"), "night shift");
  await page.locator("#island[data-hydrated]").waitFor({ state: "attached" });
  await page.getByRole("button", { name: "New private room" }).click();
  await page.waitForURL(/room=\w+-\w+-[\da-f]{12}$/);
  await page.goto(dropUrl(server, "x".repeat(300)));
  await page.getByText("The name is too long").waitFor();
});

guardedBrowserTest("without the right to be in the room the page says so", {
  WEIR_PAGES: "all",
  WEIR_ANONYMOUS: "presence:drop:open",
}, async ({ server, chromium, page, errors }) => {
  await openPage(page, dropUrl(server, "closed"));
  await page.getByText("You don't have permission to join this room.").waitFor();
  assert.equal(await page.locator(".drop-people").count(), 0);
  await checkLooks(page, "drop-refused");
  await openPage(page, dropUrl(server, "open"));
  await page.getByText("Nobody else is here.").waitFor();
  // The server gives anonymous visitors another member than the page asks for.
  const other = await chromium.newVisitor();
  await enter(other, server, "Ann", "open");
  await person(page, "Ann").waitFor();
  assert.deepEqual(errors, []);
});
