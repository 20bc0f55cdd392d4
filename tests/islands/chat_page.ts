import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type Guarded } from "../support/guarded.ts";
import { openPage } from "../support/pages.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Opens the chat and chooses a name. Resolves once the connection is open. */
export async function enter(
  page: Page,
  server: WeirServer,
  name: string,
  room = "lobby",
): Promise<void> {
  await openPage(page, chatUrl(server, room));
  const field = page.getByLabel("Your name");
  await field.fill(name);
  await field.press("Enter");
  await isOpen(page);
}

export function chatUrl({ url }: { readonly url: string }, room: string): string {
  return `${url}/chat?${new URLSearchParams({ room })}`;
}

export async function isOpen(page: Page): Promise<void> {
  await page.locator('.connection[data-status="open"]').waitFor();
}

export function field(page: Page) {
  return page.getByLabel(/^Message to /);
}

/** Types a message and sends it. */
export async function say(page: Page, text: string): Promise<void> {
  await field(page).focus();
  for (const [i, line] of text.split("\n").entries()) {
    if (i > 0) await page.keyboard.press("Shift+Enter");
    await page.keyboard.insertText(line);
  }
  await page.keyboard.press("Enter");
}

/** Locates the stored message that contains this text. */
export function said(page: Page, text: string) {
  return page.locator('[data-kind="message"] .chat-text', { hasText: text });
}

export async function texts(page: Page): Promise<readonly string[]> {
  return await page.locator(".chat-text").allInnerTexts();
}

export async function names(page: Page): Promise<readonly string[]> {
  return await page.locator(".chat-name").allInnerTexts();
}

export function state(page: Page, status: string) {
  return page.locator(`.connection[data-status="${status}"]`);
}

/** Publishes messages of another person. */
export async function tell(
  { url }: { readonly url: string },
  room: string,
  texts: readonly string[],
  name = "Eve",
): Promise<void> {
  for (let i = 0; i < texts.length; i += 100) {
    const events = texts.slice(i, i + 100).map((text) => ({
      channel: `chat:${room}`,
      type: "chat.message",
      data: { name, text },
    }));
    const answer = await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ events }),
    });
    assert.equal(answer.status, 201, await answer.text());
  }
}

/** Opens a room by its name. */
export async function go(page: Page, room: string): Promise<void> {
  await page.getByLabel("Open or create a room").fill(room);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: room, exact: true }).waitFor();
}

/** Resolves once exactly these people are in the room. */
export async function here(page: Page, people: readonly string[]): Promise<void> {
  await until(`${people.join(", ")} are here`, async () => {
    const shown = await page.locator(".chat-person").allTextContents();
    const names = await page.locator(".chat-person").evaluateAll((rows) =>
      rows.map((row) => [...row.children].slice(1).map(({ textContent }) => textContent).join(" "))
    );
    return shown.length === people.length && names.join() === people.join();
  });
}

export async function scrollTo(page: Page, top: number): Promise<void> {
  await page.locator(".chat-scroll").evaluate((box, top) => box.scrollTop = top, top);
}

/** Returns the message under the mark "New". */
export async function marked(page: Page): Promise<string> {
  const row = page.locator(".chat-row", { has: page.locator(".is-new") });
  return await row.locator(".chat-text").innerText();
}

/** Makes the page look hidden: headless pages never are. */
export async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden ? "hidden" : "visible");
}

export async function isFocused(page: Page, selector: string): Promise<boolean> {
  return await page.evaluate((s) => document.activeElement?.matches(s) === true, selector);
}

/** Signs in with a token with these claims and opens the lobby. */
export async function signIn(
  page: Page,
  weir: Guarded<WeirServer>,
  { weir: rights, ...claims }: { readonly weir?: Readonly<Record<string, unknown>>; sub?: string },
): Promise<void> {
  const all = { publish: ["**"], subscribe: ["**"], presence: ["**"] };
  await page.goto(chatUrl(weir, "lobby"));
  await page.getByLabel("Token").fill(await weir.token(rights ?? all, claims));
  await page.locator(".sign-in").getByRole("button", { name: "Sign in" }).click();
  await page.locator("#island[data-hydrated]").waitFor({ state: "attached" });
}
