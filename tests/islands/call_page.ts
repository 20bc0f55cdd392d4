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

/** Colours of pictures, in RGB. */
const COLOURS = {
  red: [255, 0, 0],
  blue: [0, 0, 255],
  green: [0, 128, 0],
  yellow: [255, 255, 0],
} as const;

type Colour = keyof typeof COLOURS;

/**
 * Gives the page a red and a blue camera, and screens to share that are green and then yellow. No
 * frames of Chromium's own second fake camera arrive at a peer, also without Weir.
 */
export async function paintDevices(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const paint = (colour: string): MediaStreamTrack => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
      const context = canvas.getContext("2d")!;
      let frame = 0;
      setInterval(() => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 640, 360);
        context.fillStyle = "black";
        context.fillRect(frame++ % 640, 0, 8, 8); // each frame differs
      }, 50);
      return canvas.captureStream().getVideoTracks()[0]!;
    };
    const { mediaDevices } = navigator;
    const openMicrophone = mediaDevices.getUserMedia.bind(mediaDevices, { audio: true });
    const screens = ["green", "yellow"];
    Object.assign(mediaDevices, {
      enumerateDevices: () =>
        Promise.resolve(["red", "blue"].map((colour) => ({
          kind: "videoinput",
          deviceId: colour,
          label: `The ${colour} camera`,
        }))),
      getUserMedia: async ({ audio, video }: MediaStreamConstraints) => {
        const stream = audio === undefined ? new MediaStream() : await openMicrophone();
        if (typeof video !== "object") return stream;
        const { exact = "red" } = Object(video.deviceId);
        const track = paint(exact);
        track.getSettings = () => ({ deviceId: exact });
        stream.addTrack(track);
        return stream;
      },
      getDisplayMedia: () => Promise.resolve(new MediaStream([paint(screens.shift()!)])),
    });
  });
}

/** Resolves once the tile shows pictures of this colour. */
export async function shows(tile: Locator, colour: Colour): Promise<void> {
  const video = tile.locator("video");
  await until(`the picture is ${colour}`, async () => {
    const pixel = await video.evaluate((element) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 9, height: 9 });
      const context = canvas.getContext("2d")!;
      context.drawImage(element as HTMLVideoElement, 0, 0, 9, 9);
      return [...context.getImageData(4, 4, 1, 1).data];
    });
    const isOpaque = pixel[3] === 255;
    return isOpaque && COLOURS[colour].every((value, i) => Math.abs(value - pixel[i]!) < 60);
  });
}

/** Locates the field that chooses a camera. */
export function camera(page: Page): Locator {
  return page.locator(".call-device", { hasText: /^Camera/ }).locator("select");
}

/** Locates the sentence about what happened last. */
export function news(page: Page, text: string): Locator {
  return page.locator(".call-news", { hasText: text });
}

export function button(page: Page, name: string): Locator {
  return page.getByRole("button", { name, exact: true });
}
