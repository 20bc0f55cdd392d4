import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { formatLocalTime } from "../../islands/format.ts";
import { Samples } from "../../islands/dashboard/samples.ts";
import { summarize } from "../../islands/dashboard/summary.ts";
import type { Sample } from "../../lib/shared/figures.ts";
import { call } from "../support/calls.ts";
import { browserTest, guardedBrowserTest } from "../support/browser_fixture.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

browserTest(
  "the dashboard shows a load, over server-sent events alone",
  async ({ server, page, errors }) => {
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    const channel = newChannel();
    await using _stream = await SseClient.open(readUrl(server.url, [channel]));
    await using _load = new Load(server.url, channel);
    await open(page, server);
    await until("the load shows", async () => Number(await headline(page, "Publishes")) > 0);
    await until( // in addition to the page's own
      "the stream is counted",
      async () => await headline(page, "Connections") === "2",
    );
    await until("it is delivered", async () => Number(await headline(page, "Deliveries")) > 0);
    for (const name of ["Publish p99", "Delivery p99"]) {
      assert.match(await headline(page, name), /^[\d.]+ m?s$/);
    }
    await until("the lines are drawn", async () => {
      for (const title of ["Connections", "Publishes", "Publish latency", "Event-loop delay"]) {
        if (await paintedPixels(page, title) < 20) return false;
      }
      return true;
    });
    assert.equal(await page.locator(".isolates tbody tr").count(), 1);
    assert.deepEqual([sockets, errors], [[], []]);
  },
);

browserTest(
  "after the server is killed the dashboard shows all that the log has and marks the break",
  async ({ server, page }) => {
    await open(page, server);
    await storedMore(server, 4);
    await server.kill();
    await page.locator(".connection", { hasText: "Can't reach the server. Retrying…" }).waitFor();
    const down = performance.now();
    // Longer than samples can be apart, so that a break appears on any machine.
    await until("it was down for a while", () => performance.now() - down > 2_500);
    await server.start();
    await page.locator(".connection", { hasText: "Connected" }).waitFor();
    await storedMore(server, 4);
    const told = page.locator(`.breaks [data-reason="restart"]`);
    await told.waitFor();
    assert.match(
      await told.innerText(),
      /^\d\d:\d\d:\d\d – \d\d:\d\d:\d\d: the server was down and restarted/,
    );
    await assertShowsLog(page, server, 1);
    const rows = page.locator(".isolates tbody tr");
    assert.equal(await rows.count(), 2);
    assert.match(await rows.last().innerText(), /stopped/);
  },
);

browserTest(
  "a dashboard that was offline has no break after reconnecting",
  async ({ server, page }) => {
    await open(page, server);
    await storedMore(server, 2);
    await page.context().setOffline(true);
    await page.locator(".connection", { hasText: /Offline|Reconnecting|Can't reach/ }).waitFor();
    await storedMore(server, 4);
    await page.context().setOffline(false);
    await page.locator(".connection", { hasText: "Connected" }).waitFor();
    await storedMore(server, 2);
    await assertShowsLog(page, server, 0);
    assert.equal(await page.locator(".breaks li").count(), 0);
  },
);

browserTest(
  "a reopened dashboard starts with the figures in the log",
  async ({ server, page, errors }) => {
    await open(page, server);
    await storedMore(server, 3);
    await openPage(page, `${server.url}/dashboard`);
    await assertShowsLog(page, server, 0);
    await page.getByLabel("60 min").check();
    await until("the span is longer", async () => await sliderMax(page) === 60 * 4 - 1);
    assert.deepEqual(errors, []);
  },
);

browserTest(
  "the charts' values can be read by keyboard and as a table",
  async ({ server, page, errors }) => {
    await open(page, server);
    await storedMore(server, 4);
    const chart = page.getByRole("slider", { name: "Publishes" });
    await chart.focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowLeft");
    const time = await page.locator(".chart header time").first().innerText();
    assert.match(time, /^\d\d:\d\d:\d\d$/);
    // One cursor for all charts.
    const times = await page.locator(".chart header time").allInnerTexts();
    assert.deepEqual(new Set(times), new Set([time]));
    assert.equal(times.length, await page.getByRole("slider").count());
    const spoken = await chart.getAttribute("aria-valuetext") ?? "";
    assert.match(
      spoken,
      new RegExp(`^${time}: (?:Accepted 0, Refused 0, Ephemeral 0|no figures)$`),
    );
    await page.keyboard.press("Home");
    assert.equal(await chart.getAttribute("aria-valuenow"), "0");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".chart header time").count(), 0);

    await page.getByRole("button", { name: "Connections as a table" }).click();
    const table = page.getByRole("region", { name: "Connections, table" });
    assert.equal(await table.locator("tbody tr").count(), 30);
    const [first] = await table.locator("tbody tr").first().locator("td").allInnerTexts();
    assert.ok(first === "0" || first === "–", first);
    assert.deepEqual(errors, []);
  },
);

browserTest(
  "the dashboard is accessible in every look",
  async ({ server, page, errors }) => {
    await open(page, server);
    await storedMore(server, 2);
    await page.getByRole("button", { name: "Replay lag as a table" }).click();
    await checkLooks(page, "dashboard");
    assert.deepEqual(errors, []);
  },
);

browserTest(
  "the dashboard adds up isolates and lists each of them",
  { by: "serve" },
  async ({ server, page, errors }) => {
    const streams = await Promise.all(
      Array.from({ length: 6 }, () => SseClient.open(readUrl(server.url, [newChannel()]))),
    );
    await open(page, server);
    const rows = page.locator(".isolates tbody tr");
    await until("both are there", async () => await rows.count() === 2);
    await until("all are counted", async () => await headline(page, "Connections") === "7");
    const each = await rows.locator("td:nth-of-type(2)").allInnerTexts();
    assert.equal(each.map(Number).reduce((sum, count) => sum + count, 0), 7);
    for (const stream of streams) await stream[Symbol.asyncDispose]();
    assert.deepEqual(errors, []);
  },
);

guardedBrowserTest(
  "a visitor without the right sees what the dashboard requires",
  {},
  async ({ server: weir, page }) => {
    await page.goto(`${weir.url}/dashboard`);
    await page.getByLabel("Token").fill(await weir.token({ subscribe: ["**"] }));
    await page.keyboard.press("Enter");
    const problem = page.locator(".problem");
    await problem.waitFor();
    assert.match(
      await problem.innerText(),
      /figures of the whole server.*subscribe to "\$figures"/,
    );
    assert.equal(await page.locator(".chart").count(), 0);

    await page.getByLabel("Token").fill(await weir.token({ subscribe: ["$figures"] }));
    await page.keyboard.press("Enter");
    await page.locator(".connection", { hasText: "Connected" }).waitFor();
    await until("figures are there", async () => await headline(page, "Connections") === "1");
  },
);

/** Publishes one event after the other until disposed. */
class Load implements AsyncDisposable {
  readonly #publishing: Promise<void>;
  #isOver = false;

  constructor(url: string, channel: string) {
    this.#publishing = this.#publish(url, channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#publishing;
  }

  async #publish(url: string, channel: string): Promise<void> {
    for (let i = 0; !this.#isOver; i++) await publish(url, channel, i);
  }
}

/** Opens the dashboard, which shows two minutes at first. Resolves once it has figures. */
async function open(page: Page, server: WeirServer): Promise<void> {
  await openPage(page, `${server.url}/dashboard`);
  await page.locator(".connection", { hasText: "Connected" }).waitFor();
  await page.locator(".isolates tbody tr").first().waitFor();
}

async function headline(page: Page, name: string): Promise<string> {
  const figure = page.locator(".headline div", { hasText: name }).locator("dd");
  return (await figure.innerText()).replace(/\/s$|,/g, "");
}

async function sliderMax(page: Page): Promise<number> {
  return Number(await page.getByRole("slider").first().getAttribute("aria-valuemax"));
}

/** Counts the pixels of a chart that have about the color of a line. */
async function paintedPixels(page: Page, title: string): Promise<number> {
  return await page.getByRole("slider", { name: title }).locator("canvas").evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const style = getComputedStyle(canvas);
    const colors = [1, 2, 3].map((series) => {
      const text = style.getPropertyValue(`--series-${series}`).trim();
      return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    });
    const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ??
      new Uint8ClampedArray();
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const isOne = colors.some((color) =>
        color.every((part, i) => Math.abs((data[at + i] ?? 0) - part) < 40)
      );
      if (isOne && (data[at + 3] ?? 0) > 200) count++;
    }
    return count;
  });
}

/** Reads all samples from the log. */
async function stored(server: WeirServer): Promise<readonly Sample[]> {
  const path = readUrl("", ["$figures"], { after: "earliest", limit: "1000" });
  const { json } = await call(server.url, path);
  return json.events.map(({ data }: { readonly data: Sample }) => data);
}

/** Resolves once the log has `count` more samples. */
async function storedMore(server: WeirServer, count: number): Promise<void> {
  const before = (await stored(server)).length;
  await until(
    `${count} more samples are stored`,
    async () => (await stored(server)).length >= before + count,
  );
}

/**
 * Asserts that the charts have values for exactly the seconds of the last minute that the log has
 * samples of.
 *
 * @param breaks the expected number of breaks
 */
async function assertShowsLog(page: Page, server: WeirServer, breaks: number): Promise<void> {
  const samples = new Samples();
  for (const sample of await stored(server)) samples.add(sample);
  const last = Math.floor(samples.complete / 1_000) * 1_000;
  // A second is shown at its middle, half a second before its end.
  const shown = new Map<string, boolean>();
  await page.getByLabel("2 min").check();
  const chart = page.getByRole("slider", { name: "Connections" });
  await chart.focus();
  await until("the last second is there", async () => {
    await page.keyboard.press("End");
    return await hasReached(chart, last, shown);
  });
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("ArrowLeft");
    await hasReached(chart, last, shown);
  }
  let holes = 0;
  let wasKnown = true;
  const first = Math.ceil(samples.first / 1_000) * 1_000;
  for (let at = last - 1_000; at >= Math.max(first, last - 50_000); at -= 1_000) {
    const isKnown = summarize(samples.all(), at, at + 1_000) !== undefined;
    assert.equal(
      shown.get(formatLocalTime(at)),
      isKnown,
      `${formatLocalTime(at)} of ${[...shown.keys()]}`,
    );
    if (wasKnown && !isKnown) holes++;
    wasKnown = isKnown;
  }
  assert.equal(holes, breaks);
}

/** Records the chart's text at its cursor. Returns true once that is at `last` or later. */
async function hasReached(
  chart: ReturnType<Page["locator"]>,
  last: number,
  shown: Map<string, boolean>,
): Promise<boolean> {
  const text = await chart.getAttribute("aria-valuetext") ?? "";
  const [time = "", words = ""] = text.split(": ");
  shown.set(time, words !== "no figures");
  return time >= formatLocalTime(last - 1_000);
}
