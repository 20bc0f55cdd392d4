import type { Locator, Page } from "playwright-core";
import { openPage } from "../support/pages.ts";
import type { BrowserContext } from "../support/browser_fixture.ts";

/** A file in memory, as Playwright's file chooser takes it. */
export interface TestFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Uint8Array<ArrayBuffer>;
}

/** Returns a file with random bytes. */
export function randomFile(name: string, bytes: number): TestFile {
  const buffer = new Uint8Array(bytes);
  // `getRandomValues()` takes at most 64 KiB.
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(buffer.subarray(at, at + 65_536));
  }
  return { name, mimeType: "application/octet-stream", buffer };
}

export function dropUrl({ url }: { readonly url: string }, room: string): string {
  return `${url}/drop?${new URLSearchParams({ room })}`;
}

/** Opens the page and chooses a name. Resolves once the visitor is in the room. */
export async function enter(
  page: Page,
  server: { readonly url: string },
  name: string,
  room = "lobby",
): Promise<void> {
  await openPage(page, dropUrl(server, room));
  const field = page.getByLabel("Your name");
  await field.fill(name);
  await field.press("Enter");
  await page.locator('.connection[data-status="open"]').waitFor();
}

/** Locates the person with this name. Waiting for it means that the two are connected. */
export function person(page: Page, name: string): Locator {
  return page.locator('.drop-target[data-status="connected"]', { hasText: name });
}

/** Makes connections of the page impossible: it uses TURN servers only, and there is none. */
export async function blockConnections(page: Page): Promise<void> {
  await page.addInitScript(() => {
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super({ ...configuration, iceTransportPolicy: "relay" });
      }
      override setConfiguration(configuration?: RTCConfiguration) {
        super.setConfiguration({ ...configuration, iceTransportPolicy: "relay" });
      }
    };
  });
}

/** Two visitors in a room, connected. */
export async function annAndBob(
  { server, chromium, page }: Pick<
    BrowserContext<{ readonly url: string }>,
    "server" | "chromium" | "page"
  >,
  nameOfBob = "Bob",
): Promise<{ readonly ann: Page; readonly bob: Page }> {
  const bob = await chromium.newVisitor();
  await enter(page, server, "Ann");
  await enter(bob, server, nameOfBob);
  await person(page, nameOfBob).waitFor();
  await person(bob, "Ann").waitFor();
  return { ann: page, bob };
}

/** Picks files for a person, as the file chooser does. */
export async function pick(
  page: Page,
  name: string,
  files: readonly TestFile[],
  target = person(page, name),
): Promise<void> {
  await target.locator("input[type=file]").setInputFiles(
    files.map(({ name, mimeType, buffer }) => ({ name, mimeType, buffer: Buffer.from(buffer) })),
  );
}

/** Drags files to a person and drops them. */
export async function drag(page: Page, name: string, files: readonly TestFile[]): Promise<void> {
  const target = person(page, name);
  const data = await page.evaluateHandle((files) => {
    const data = new DataTransfer();
    for (const { name, mimeType, text } of files) {
      const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      data.items.add(new File([bytes], name, { type: mimeType }));
    }
    return data;
  }, files.map(({ name, mimeType, buffer }) => ({ name, mimeType, text: buffer.toBase64() })));
  await target.dispatchEvent("dragover", { dataTransfer: data });
  await page.locator('.drop-target[data-over="true"]').waitFor();
  await target.dispatchEvent("drop", { dataTransfer: data });
}

/** Locates the transfer of a file, in a state if one is given. */
export function transfer(page: Page, name: string, status?: string): Locator {
  const state = status === undefined ? "" : `[data-status="${status}"]`;
  return page.locator(`.transfer${state}`, { hasText: name });
}

export async function press(transfer: Locator, button: string): Promise<void> {
  await transfer.getByRole("button", { name: new RegExp(`^${button}`) }).click();
}

/** Saves a received file and returns its bytes. */
export async function save(
  page: Page,
  name: string,
): Promise<{ readonly savedAs: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const link = transfer(page, name, "done").getByRole("link", { name: /^Save/ });
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  return {
    savedAs: download.suggestedFilename(),
    bytes: await Deno.readFile(await download.path()),
  };
}

/** Returns how much of a file has arrived, from 0 to 1. */
export async function partOf(transfer: Locator): Promise<number> {
  return await transfer.locator("progress").evaluate((bar: HTMLProgressElement) => bar.position);
}

interface Gate {
  /** Lets the page read on. */
  open(): Promise<void>;
  /** Returns how many bytes of files the page has read. */
  readBytes(): Promise<number>;
}

interface PageGate {
  max: number;
  bytes: number;
  readonly waiting: (() => void)[];
}

/** Lets a page read only this much of files, so that a transfer stays under way. */
export async function gateReads(page: Page, bytes: number): Promise<Gate> {
  const gate = await page.evaluateHandle((max): PageGate => {
    const gate: PageGate = { max, bytes: 0, waiting: [] };
    const open = Blob.prototype.stream;
    Blob.prototype.stream = function () {
      return open.call(this).pipeThrough(
        new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
          async transform(block, controller) {
            for (let at = 0; at < block.length; at += 65_536) {
              const part = block.subarray(at, at + 65_536);
              while (gate.bytes + part.length > gate.max) {
                await new Promise<void>((resolve) => gate.waiting.push(resolve));
              }
              gate.bytes += part.length;
              controller.enqueue(part);
            }
          },
        }),
      );
    };
    return gate;
  }, bytes);
  return {
    open: () =>
      gate.evaluate((gate) => {
        gate.max = Infinity;
        for (const resume of gate.waiting.splice(0)) resume();
      }),
    readBytes: () => gate.evaluate(({ bytes }) => bytes),
  };
}

/** Returns how many bytes a page has in the origin private file system, or 0 while that changes. */
export async function storedBytes(page: Page): Promise<number> {
  return await page.evaluate(async () => {
    const sizeOf = async (folder: FileSystemDirectoryHandle): Promise<number> => {
      let bytes = 0;
      for await (const entry of folder.values()) {
        if (entry instanceof FileSystemDirectoryHandle) bytes += await sizeOf(entry);
        if (entry instanceof FileSystemFileHandle) bytes += (await entry.getFile()).size;
      }
      return bytes;
    };
    try {
      return await sizeOf(await navigator.storage.getDirectory());
    } catch (cause) {
      // The page has just replaced a file.
      if (cause instanceof DOMException && cause.name === "NotFoundError") return 0;
      throw cause;
    }
  });
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
