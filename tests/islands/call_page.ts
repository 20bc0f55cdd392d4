import type { Locator, Page } from "playwright-core";
import { openPage } from "../support/pages.ts";
import { until } from "../support/until.ts";

/** What has a URL: a server, guarded or not. */
interface Site {
  readonly url: string;
}

export function callUrl({ url }: Site, room: string): string {
  return `${url}/call?${new URLSearchParams({ room })}`;
}

/** Opens the page of a room, chooses a name and joins. Resolves once the visitor is in the call. */
export async function join(page: Page, url: string, name: string): Promise<void> {
  await openPage(page, url);
  await hasDevices(page);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join the call" }).click();
  await isIn(page);
}

/** Resolves once the devices have started. */
export async function hasDevices(page: Page): Promise<void> {
  await page.getByText("Others will see and hear you.").waitFor();
}

/** Resolves once the visitor is in the call. */
export async function isIn(page: Page): Promise<void> {
  await page.locator(".call-bar").getByText(/^\d+ (person|people)$/).waitFor();
}

/** Locates the tile of a person. */
export function tile(page: Page, name: string): Locator {
  return page.locator(".call-tile:not(.is-screen)", {
    has: page.locator(".call-caption bdi", { hasText: new RegExp(`^${name}$`) }),
  });
}

/** Resolves once the page is connected to this person. */
export async function isConnected(page: Page, name: string): Promise<void> {
  await tile(page, name).and(page.locator('[data-status="connected"]')).waitFor();
}

/** Resolves once the tile shows a picture that moves. */
export async function isMoving(tile: Locator): Promise<void> {
  const video = tile.locator("video");
  await until(
    "the video has a size",
    () => video.evaluate((element) => (element as HTMLVideoElement).videoWidth > 0),
  );
  const frames = () =>
    video.evaluate((element) =>
      (element as HTMLVideoElement).getVideoPlaybackQuality().totalVideoFrames
    );
  const before = await frames();
  await until("more frames are decoded", async () => await frames() > before);
}

/** Locates the sentence about what happened last. */
export function news(page: Page, text: string): Locator {
  return page.locator(".call-news", { hasText: text });
}

export function button(page: Page, name: string): Locator {
  return page.getByRole("button", { name, exact: true });
}
