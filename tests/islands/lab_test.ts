import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { bearer } from "../support/guarded.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { until } from "../support/until.ts";

const TRANSPORTS = ["webtransport", "websocket", "sse", "long-poll", "short-poll"];
const COMPARED = ["websocket", "webtransport"];
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

  // Without TLS there is no WebTransport in front of keys.
  await openLab(page, weir, "open", TRANSPORTS.slice(1));
  await noPublish.waitFor();
  assert.equal(await noRead.count(), 0);
  await publish(weir.url, "open", "for all", bearer(await weir.token()));
  for (const transport of TRANSPORTS.slice(1)) {
    await figure(page, transport, "received", "1").waitFor();
  }
  assert.deepEqual(errors, []);
});

browserTest("next to large events, small ones wait less over WebTransport", async (context) => {
  const { server, page, errors } = context;
  await openLab(page, server, newChannel());
  // Another program may keep the machine busy during one of the turns.
  await until("small events wait less over WebTransport", async () => {
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("Running over WebSocket").waitFor();
    await page.getByText("Done").waitFor();
    for (const transport of COMPARED) {
      assert.ok(await compared(page, transport, "small") > 100);
      assert.ok(await compared(page, transport, "large") > 10);
    }
    const [p99 = 0, fast = 0] = await Promise.all(
      COMPARED.map((transport) => compared(page, transport, "p99")),
    );
    return fast < p99 / 1.5;
  });
  await checkLooks(page, "lab-comparison");
  assert.deepEqual(errors, []);
});

browserTest("a comparison can be stopped and started again", async ({ server, page, errors }) => {
  await openLab(page, server, newChannel());
  const figure = page.locator('[data-compared="websocket"] [data-figure="small"]');
  for (let run = 0; run < 2; run++) {
    await page.getByRole("button", { name: "Compare" }).click();
    await figure.filter({ hasText: /[1-9]/ }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Done").waitFor();
  }
  assert.deepEqual(errors, []);
});

browserTest("the lab says where the server offers no WebTransport", {
  env: { WEIR_QUIC: "off" },
}, async ({ server, page, errors }) => {
  await openPage(page, `${server.url}/lab?channel=${newChannel()}`);
  const lane = page.locator('[data-transport="webtransport"]');
  await lane.getByText("This server offers no WebTransport.").waitFor();
  assert.ok(await lane.getByRole("button", { name: "Cut" }).isDisabled());
  await page.locator('[data-transport="websocket"] [data-status="open"]').waitFor();
  await checkLooks(page, "lab-no-webtransport");
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByText("Done").waitFor();
  assert.ok(await compared(page, "websocket", "small") > 100);
  assert.equal(await compared(page, "webtransport", "small"), 0);
  assert.deepEqual(errors, []);
});

browserTest("the lab says where the browser has no WebTransport", async ({ server, page }) => {
  await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebTransport"));
  await openPage(page, `${server.url}/lab?channel=${newChannel()}`);
  const lane = page.locator('[data-transport="webtransport"]');
  await lane.getByText("This browser has no WebTransport.").waitFor();
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

/** Opens the lab. Resolves once the lanes of `transports`, and that of the peers, are connected. */
async function openLab(
  page: Page,
  server: { readonly url: string },
  channel: string,
  transports: readonly string[] = TRANSPORTS,
): Promise<void> {
  await openPage(page, `${server.url}/lab?channel=${channel}`);
  const lanes = await page.locator("[data-transport]").evaluateAll((all) =>
    all.map((lane) => lane.getAttribute("data-transport") ?? "")
  );
  assert.deepEqual(lanes.filter((lane) => lane !== DATA_CHANNEL), TRANSPORTS);
  for (const lane of lanes.filter((lane) => lane === DATA_CHANNEL || transports.includes(lane))) {
    await page.locator(`[data-transport="${lane}"] [data-status="open"]`).waitFor();
  }
}

/** Returns a figure of the comparison: a number, or milliseconds. */
async function compared(page: Page, transport: string, name: string): Promise<number> {
  const value = page.locator(`[data-compared="${transport}"] [data-figure="${name}"]`);
  const text = await value.textContent() ?? "";
  return parseFloat(text) * (text.endsWith(" s") ? 1_000 : 1);
}

function figure(page: Page, transport: string, name: string, text: string | RegExp) {
  const value = typeof text === "string" ? new RegExp(`^${text}$`) : text;
  return page.locator(`[data-transport="${transport}"] [data-figure="${name}"]`)
    .filter({ hasText: value });
}

async function faults(page: Page): Promise<readonly string[]> {
  return await page.locator('[data-figure="faults"]').allTextContents();
}
