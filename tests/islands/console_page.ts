import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { openPage } from "../support/pages.ts";
import { type Ack } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Errors that Chromium itself logs for failed requests. */
export const NETWORK = /^Failed to load resource|^WebSocket connection to/;

/** Opens a channel. Resolves once the page reads it. */
export async function open(page: Page, server: WeirServer, channel: string): Promise<void> {
  await openPage(page, `${server.url}/?${new URLSearchParams({ channel })}`);
  await state(page, "open").waitFor();
}

/** Opens the form that publishes. */
export async function openForm(page: Page): Promise<Locator> {
  await page.getByRole("button", { name: "New event" }).click();
  return page.getByRole("form", { name: "Publish" });
}

export function state(page: Page, status: string): Locator {
  return page.locator(`.connection[data-status="${status}"]`);
}

export function line(page: Page, data: string): Locator {
  return page.locator(".row-line .data").getByText(data, { exact: true });
}

export function row(page: Page, sequence: number): Locator {
  return page.locator(`.row-line[data-offset$="_${String(sequence).padStart(16, "0")}"]`);
}

/** Returns the data of the events in the document. */
export async function shown(page: Page): Promise<readonly string[]> {
  return await page.locator(`.row-line[data-kind="event"] .data`).allTextContents();
}

interface ShownRow {
  readonly kind: string;
  readonly key: string;
  readonly sequence: number;
  readonly data: string;
}

/** Returns the rows in the document. */
export async function allShown(page: Page): Promise<readonly ShownRow[]> {
  return await page.locator(".row-line").evaluateAll((rows) =>
    rows.map((row) => ({
      kind: row.getAttribute("data-kind") ?? "",
      key: row.getAttribute("data-offset") ?? "",
      sequence: Number(row.getAttribute("data-offset")?.slice(10)),
      data: row.querySelector(".data")?.textContent ?? "",
    }))
  );
}

/** Returns all rows by scrolling through the list. */
export async function allRows(page: Page): Promise<readonly ShownRow[]> {
  const list = page.getByRole("listbox");
  const found: ShownRow[] = [];
  await list.press("Home");
  for (;;) {
    await until(
      "the visible rows are loaded",
      async () => (await allShown(page)).every(({ kind }) => kind !== "unloaded"),
    );
    const rows = await allShown(page);
    const known = new Set(found.map(({ key }) => key));
    found.push(...rows.filter(({ key }) => !known.has(key)));
    const isEnd = await list.evaluate((element) =>
      element.scrollTop + element.clientHeight >= element.scrollHeight - 2
    );
    if (isEnd) return found;
    await list.press("PageDown");
    await until("it has scrolled", () => isStill(page));
  }
}

/** Tells whether the list has stopped scrolling. */
export async function isStill(page: Page): Promise<boolean> {
  return await page.getByRole("listbox").evaluate(async (element) => {
    const before = element.scrollTop;
    for (let i = 0; i < 3; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
    return element.scrollTop === before;
  });
}

export async function isFocused(page: Page, selector: string): Promise<boolean> {
  return await page.locator(selector).evaluate((element) => element === document.activeElement);
}

/** Starts to count the rows in the document. */
export async function watchRows(page: Page): Promise<void> {
  await page.locator(".rows").evaluate((element) => {
    const count = () => {
      const most = Number(document.body.dataset["mostRows"] ?? 0);
      document.body.dataset["mostRows"] = String(
        Math.max(most, element.querySelectorAll(".row-line").length),
      );
    };
    count();
    new MutationObserver(count).observe(element, { childList: true, subtree: true });
  });
}

export async function mostRows(page: Page): Promise<number> {
  return Number(await page.locator("body").getAttribute("data-most-rows"));
}

export async function clipboard(page: Page): Promise<string> {
  return await page.evaluate(() => navigator.clipboard.readText());
}

/** Publishes 100 events: the numbers after `first`. */
export async function publishMany(
  server: WeirServer,
  channel: string,
  first: number,
): Promise<readonly Ack[]> {
  const events = Array.from({ length: 100 }, (_, i) => ({ channel, data: first + i + 1 }));
  const response = await fetch(`${server.url}/v1/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ events }),
  });
  const body = await response.json();
  assert.equal(response.status, 201);
  return body.events;
}
