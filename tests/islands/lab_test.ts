import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { bearer } from "../support/guarded.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";

const TRANSPORTS = ["websocket", "sse", "long-poll", "short-poll"];
const DATA_CHANNEL = "data-channel";
const LANES = [...TRANSPORTS, DATA_CHANNEL];

browserTest("the lab shows every event over every transport", async ({ server, page, errors }) => {
  await openLab(page, server, newChannel());
  const button = page.getByRole("button", { name: "Publish one" });
  for (let i = 0; i < 3; i++) await button.click();
  for (const lane of LANES) await figure(page, lane, "received", "3").waitFor();
  await page.locator(".lab-published", { hasText: "3 published" }).waitFor();
  await page.getByLabel("50").check({ force: true });
  for (const lane of LANES) await figure(page, lane, "received", /^\d{2,}$/).waitFor();
  await page.getByLabel("none").check({ force: true });
  await checkLooks(page, "lab");
  assert.deepEqual(await faults(page), LANES.map(() => "0, 0"));
  assert.deepEqual(errors, []);
});

for (const transport of TRANSPORTS) {
  browserTest(
    `a lane that was cut catches up on what it missed: ${transport}`,
    async ({ server, page }) => {
      const channel = newChannel();
      await openLab(page, server, channel);
      await publish(server.url, channel, "before");
      for (const each of TRANSPORTS) await figure(page, each, "received", "1").waitFor();
      const lane = page.locator(`[data-transport="${transport}"]`);
      await lane.getByRole("button", { name: "Cut" }).click();
      await lane.getByText(/Reconnecting|Can't reach/).waitFor();

      await publishNumbers(server.url, channel, 5);
      const others = TRANSPORTS.filter((each) => each !== transport);
      for (const each of others) await figure(page, each, "received", "6").waitFor();
      assert.equal(await figure(page, transport, "received", /.*/).textContent(), "1");

      await lane.getByRole("button", { name: "Resume" }).click();
      await figure(page, transport, "received", "6").waitFor();
      assert.deepEqual(await faults(page), LANES.map(() => "0, 0"));
    },
  );
}

browserTest("a throttled lane is late and loses nothing", async ({ server, page, errors }) => {
  const channel = newChannel();
  await openLab(page, server, channel);
  const throttled = page.getByRole("button", { name: "Throttle" });
  for (const button of await throttled.all()) await button.click();
  assert.equal(await page.locator("button[aria-pressed=true]").count(), LANES.length);
  const button = page.getByRole("button", { name: "Publish one" });
  await button.click();
  for (const lane of LANES) {
    await figure(page, lane, "received", "1").waitFor();
    const latency = await figure(page, lane, "latency", / s$/).textContent();
    assert.ok(parseFloat(latency ?? "") >= 1, `${lane}: ${latency}`);
  }
  for (const button of await throttled.all()) await button.click();
  for (let i = 0; i < 10; i++) await button.click();
  for (const lane of LANES) await figure(page, lane, "received", "11").waitFor();
  assert.deepEqual(await faults(page), LANES.map(() => "0, 0"));
  assert.deepEqual(errors, []);
});

browserTest("peers that were cut off connect again and lose nothing", async ({ server, page }) => {
  await openLab(page, server, newChannel());
  const lane = page.locator(`[data-transport="${DATA_CHANNEL}"]`);
  const button = page.getByRole("button", { name: "Publish one" });
  await button.click();
  await figure(page, DATA_CHANNEL, "received", "1").waitFor();
  await lane.getByRole("button", { name: "Cut" }).click();
  await lane.getByText("Reconnecting").waitFor();
  for (let i = 0; i < 3; i++) await button.click();
  for (const transport of TRANSPORTS) await figure(page, transport, "received", "4").waitFor();
  assert.equal(await figure(page, DATA_CHANNEL, "received", /.*/).textContent(), "1");
  await lane.getByRole("button", { name: "Resume" }).click();
  await figure(page, DATA_CHANNEL, "received", "4").waitFor();
  await lane.getByText("Connected · WebRTC").waitFor();
  assert.deepEqual(await faults(page), LANES.map(() => "0, 0"));
});

guardedBrowserTest("without rights the lab says which are missing and has no lanes", {
  WEIR_ANONYMOUS: "subscribe:open publish:in",
}, async ({ server: weir, page, errors }) => {
  const noPublish = page.getByText("You don't have permission to publish to this channel.");
  const noRead = page.getByText("You don't have permission to read this channel.");
  const lanes = page.locator(".lane");

  await openPage(page, `${weir.url}/lab`);
  await noPublish.waitFor();
  await noRead.waitFor();
  assert.equal(await lanes.count(), 0);
  assert.equal(await page.getByRole("button", { name: "Publish one" }).count(), 0);
  await checkLooks(page, "lab-refused");

  await openPage(page, `${weir.url}/lab?channel=in`);
  await noRead.waitFor();
  assert.equal(await noPublish.count(), 0);
  assert.equal(await lanes.count(), 0);
  await page.getByRole("button", { name: "Publish one" }).click();
  await page.locator(".lab-published", { hasText: "1 published" }).waitFor();

  await openLab(page, weir, "open");
  await noPublish.waitFor();
  assert.equal(await noRead.count(), 0);
  await publish(weir.url, "open", "for all", bearer(await weir.token()));
  for (const transport of TRANSPORTS) await figure(page, transport, "received", "1").waitFor();
  assert.deepEqual(errors, []);
});

browserTest("the lab publishes on pages served by plain HTTP", async ({ server, page }) => {
  await page.addInitScript(() => {
    // Pages on plain HTTP don't have it.
    Object.defineProperty(crypto, "randomUUID", { value: undefined });
  });
  await openLab(page, server, newChannel());
  await page.getByRole("button", { name: "Publish one" }).click();
  for (const transport of TRANSPORTS) await figure(page, transport, "received", "1").waitFor();
});

/** Opens the lab. Resolves once every lane is connected. */
async function openLab(
  page: Page,
  server: { readonly url: string },
  channel: string,
): Promise<void> {
  await openPage(page, `${server.url}/lab?channel=${channel}`);
  const lanes = await page.locator("[data-transport]").evaluateAll((all) =>
    all.map((lane) => lane.getAttribute("data-transport"))
  );
  assert.deepEqual(lanes.filter((lane) => lane !== DATA_CHANNEL), TRANSPORTS);
  for (const lane of lanes) {
    await page.locator(`[data-transport="${lane}"] [data-status="open"]`).waitFor();
  }
}

function figure(page: Page, transport: string, name: string, text: string | RegExp) {
  const value = typeof text === "string" ? new RegExp(`^${text}$`) : text;
  return page.locator(`[data-transport="${transport}"] [data-figure="${name}"]`)
    .filter({ hasText: value });
}

async function faults(page: Page): Promise<readonly string[]> {
  return await page.locator('[data-figure="faults"]').allTextContents();
}
