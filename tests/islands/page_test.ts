import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";

const options = { ignore: CHROMIUM_MISSING };

Deno.test(
  "the page has what was there and shows what comes, over EventSource",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page, errors } = chromium;
    const kinds = new Set<string>();
    page.on("request", (request) => kinds.add(request.resourceType()));
    const channel = newChannel();
    await publishNumbers(server.url, channel, 3);

    await open(page, server, channel);
    assert.deepEqual(await shown(page), ["3", "2", "1"]);
    const { offset } = await publish(server.url, channel, { four: 4 });
    await page.locator(`[data-offset="${offset}"]`).waitFor();

    assert.deepEqual(await shown(page), ['{"four":4}', "3", "2", "1"]);
    assert.equal(await page.locator(".figures code").textContent(), offset);
    assert.ok(kinds.has("eventsource"));
    assert.deepEqual(errors, []);
  },
);

Deno.test(
  "the page's form publishes JSON and text, and says what is refused",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page, errors } = chromium;
    await open(page, server, newChannel());
    const data = page.getByLabel("Data");
    const button = page.getByRole("button", { name: "Publish" });
    const outcome = page.locator(".outcome");

    await data.fill("[1, 2]");
    await button.click();
    await outcome.filter({ hasText: "Stored at" }).waitFor();
    await page.getByText("[1,2]", { exact: true }).waitFor();
    await page.getByLabel("Text").check();
    await page.getByLabel("Type optional").fill("note");
    await data.fill("<b>two</b>\nlines");
    await data.press("Control+Enter");
    await page.locator(".event", { hasText: "lines" }).waitFor();
    assert.deepEqual(await shown(page), ["<b>two</b>\nlines", "[1,2]"]);
    assert.deepEqual(await page.locator(".type").allTextContents(), ["note", "message"]);
    assert.deepEqual(errors, []);

    await page.getByLabel("JSON").check();
    await data.fill("{");
    await button.click();
    await page.locator(".outcome.is-error").waitFor();
    assert.equal((await shown(page)).length, 2);
  },
);

Deno.test(
  "the page shows every event once though the server is killed under it",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page } = chromium;
    const channel = newChannel();
    await open(page, server, channel);
    const total = 120;
    const killed = Promise.withResolvers<void>();
    const isBack = Promise.withResolvers<void>();

    const publishing = (async () => {
      for (let i = 1; i <= total; i++) {
        const once = () => publish(server.url, channel, i, { "Idempotency-Key": `n${i}` });
        // Whether a publish that was cut off was committed nobody knows: the key makes it once.
        await once().catch(async () => {
          await isBack.promise;
          await once();
        });
        if (i === total / 2) killed.resolve(server.kill().then(() => {}));
      }
    })();
    await killed.promise;
    await state(page, "Reconnecting").waitFor();
    assert.equal(await line(page, String(total)).count(), 0);
    await server.start();
    isBack.resolve();
    await publishing;
    await state(page, "Open").waitFor();
    await publish(server.url, channel, "end"); // behind all that could be repeated
    await line(page, "end").waitFor();

    const numbers = Array.from({ length: total }, (_, i) => String(total - i));
    assert.deepEqual(await shown(page), ["end", ...numbers]);
    assert.equal(await page.locator(".notice").count(), 0);
  },
);

Deno.test("the page says that a channel was made again, and goodbye", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 2);
  await open(page, server, channel);

  const url = `${server.url}/v1/channels/${encodeURIComponent(channel)}`;
  assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
  await publish(server.url, channel, "again");
  await line(page, "again").waitFor();
  assert.match(await page.locator(`[data-kind="gap"]`).innerText(), /deleted and made again/);
  assert.deepEqual(errors, []);

  await server.kill("SIGTERM");
  await page.locator(`[data-kind="goodbye"]`).waitFor();
  await server.start();
  await publish(server.url, channel, "after");
  await line(page, "after").waitFor();
  assert.deepEqual(await shown(page), ["after", "again", "2", "1"]);
});

Deno.test("the page says that events of types it does not hear went by", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await open(page, server, channel, "tick");

  await publish(server.url, channel, "heard", { "Weir-Type": "tick" });
  await publish(server.url, channel, "unheard", { "Weir-Type": "error" });
  await publish(server.url, channel, "last");
  await line(page, "last").waitFor();
  assert.deepEqual(await shown(page), ["last", "heard"]);
  assert.match(await page.locator(".notice").innerText(), /^1 event of other types passed/);

  await open(page, server, channel);
  assert.deepEqual(await shown(page), ["last", "unheard", "heard"]);
  await publish(server.url, channel, "now heard", { "Weir-Type": "error" });
  await line(page, "now heard").waitFor();
  await state(page, "Open").waitFor();
  assert.deepEqual(errors, []);
});

/** Answers once the page's stream is open. */
async function open(page: Page, server: WeirServer, channel: string, types = ""): Promise<void> {
  await page.goto(`${server.url}/?${new URLSearchParams({ channel, types })}`);
  await state(page, "Open").waitFor();
}

function state(page: Page, text: string) {
  return page.locator(".connection", { hasText: text });
}

function line(page: Page, data: string) {
  return page.locator(".event .data").getByText(data, { exact: true });
}

/** The data of the events on the page, newest first. */
async function shown(page: Page): Promise<readonly string[]> {
  return await page.locator(".event .data").allTextContents();
}
