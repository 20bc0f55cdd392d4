import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { guardedBrowserTest } from "../support/browser_fixture.ts";
import { bearer, endingIn, type Guarded } from "../support/guarded.ts";
import { checkLooks, setLook } from "../support/pages.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { openForm } from "./console_page.ts";
import type { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Errors that Chromium itself logs for failed responses. */
const STATUS_LINE =
  /^(Failed to load resource: the server responded with a status of 40[13]|WebSocket connection to '[^']*' failed)/;

guardedBrowserTest(
  "a token signs in to read and publish until the visitor signs out",
  {},
  async ({ server: weir, page, errors }) => {
    const channel = newChannel();
    const token = await weir.token(undefined, endingIn(3_600));
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));

    await visit(page, weir, channel);
    assert.equal(await page.locator("#island").count(), 0);
    await signIn(page, token);
    await state(page, "open").waitFor();
    assert.equal(await page.locator(".signed-in").innerText(), "Signed in as ann\nSign out");

    const { offset } = await publish(weir.url, channel, "from elsewhere", bearer(token));
    await page.locator(`[data-offset="${offset}"]`).waitFor();
    const form = await openForm(page);
    await form.getByLabel("Data").fill(`"from here"`);
    await form.getByRole("button", { name: "Publish" }).click();
    await page.locator(".row-line", { hasText: "from here" }).click();
    await page.getByText("$TOKEN", { exact: true }).waitFor();

    assert.ok(urls.every((url) => !url.includes(token)));
    assert.ok(!(await page.content()).includes(token));
    const kept = await page.evaluate(() =>
      JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])
    );
    assert.equal(kept, `["",{},{}]`); // scripts can't read the cookie
    const [cookie] = await page.context().cookies();
    assert.ok(cookie?.value === token && cookie.httpOnly && cookie.sameSite === "Strict");

    await visit(page, weir, channel);
    await setLook(page, "light", "phone");
    const top = (await page.getByRole("listbox").boundingBox())?.y ?? Infinity;
    assert.ok(top <= 160, `${top} pixels above the events`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.equal(await page.locator(".row-line").count(), 0);
    assert.deepEqual(errors.filter((error) => !STATUS_LINE.test(error)), []);
  },
);

guardedBrowserTest(
  "the sign-in form is accessible in every look",
  {},
  async ({ server: weir, page }) => {
    await visit(page, weir, "orders");
    await page.getByLabel("Token").waitFor();
    await page.getByText("How do I get a token?").click();
    await page.getByText("deno task keys token").waitFor();
    await checkLooks(page, "sign-in");
    await signIn(page, await weir.token(undefined, endingIn(30)));
    await notice(page).waitFor();
    await checkLooks(page, "console-ending");
    await page.getByRole("button", { name: "Sign in again" }).click();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(await page.context().cookies(), []);
  },
);

guardedBrowserTest(
  "a refused token shows the reason and leaves no trace",
  {},
  async ({ server: weir, page, errors }) => {
    await visit(page, weir, newChannel());
    const past = Math.floor(Date.now() / 1_000) - 100;
    const expired = await weir.token({}, { iat: past, exp: past + 50 });
    for (const token of [expired, "broken", "not a tokén"]) {
      const before = await refusal(page).allInnerTexts();
      await signIn(page, token);
      await until("the page says why", async () => {
        const [text = ""] = await refusal(page).allInnerTexts();
        return text !== "" && text !== before[0];
      });
      assert.equal(await page.getByLabel("Token").inputValue(), "");
      assert.ok(!(await page.content()).includes(token));
    }
    assert.deepEqual(await page.context().cookies(), []);
    // The field has the focus again, and Enter submits it.
    await page.keyboard.insertText(await weir.token());
    await page.keyboard.press("Enter");
    await state(page, "open").waitFor();
    assert.deepEqual(errors.filter((error) => !STATUS_LINE.test(error)), []);
  },
);

guardedBrowserTest(
  "a revoked session ends on the page and says so",
  {},
  async ({ server: weir, page, errors }) => {
    const channel = newChannel();
    await page.clock.install();
    await visit(page, weir, channel);
    await signIn(page, await weir.token(undefined, { jti: "session-1" }));
    await state(page, "open").waitFor();

    const admin = await weir.token({ admin: true }, { sub: "admin" });
    const revoked = await fetch(`${weir.url}/v1/revocations`, {
      method: "POST",
      headers: { ...bearer(admin), "Content-Type": "application/json" },
      body: JSON.stringify({ jti: "session-1" }),
    });
    await revoked.body?.cancel();
    assert.equal(revoked.status, 201);
    await notice(page).filter({ hasText: "Signed out: your session was revoked." }).waitFor();
    await state(page, "closed").waitFor();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.clock.fastForward("10:00");
    assert.deepEqual(asked, []); // it doesn't reconnect by itself

    await page.getByRole("button", { name: "Sign in again" }).click();
    await refusal(page).filter({ hasText: "revoked" }).waitFor();
    await signIn(page, await weir.token());
    await state(page, "open").waitFor();
    assert.deepEqual(errors.filter((error) => !STATUS_LINE.test(error)), []);
  },
);

guardedBrowserTest(
  "a session says that it expires soon and ends with its token",
  {},
  async ({ server: weir, page }) => {
    await visit(page, weir, newChannel());
    await signIn(page, await weir.token(undefined, endingIn(6)));
    await notice(page).filter({ hasText: "Your session expires within a minute." }).waitFor();
    await notice(page).filter({ hasText: "Signed out: your session expired." }).waitFor();
    await page.getByRole("button", { name: "Sign in again" }).click();
    await page.getByLabel("Token").waitFor();
  },
);

guardedBrowserTest(
  "a page that is refused after a reconnect stops",
  {},
  async ({ server: weir, page }) => {
    await visit(page, weir, newChannel());
    await signIn(page, await weir.token());
    await state(page, "open").waitFor();

    await weir.server.kill();
    await state(page, "reconnecting").waitFor();
    await page.context().clearCookies();
    await weir.server.start();
    await notice(page).filter({ hasText: "Signed out: your session ended." }).waitFor();
  },
);

guardedBrowserTest("a visitor who can't read a channel can choose another", {
  WEIR_ANONYMOUS: "subscribe:public/**",
}, async ({ server: weir, page, errors }) => {
  await visit(page, weir, "private");
  await page.getByText("There are no channels that you can read yet.").waitFor();
  await page.getByText("permission to read").waitFor();
  await openForm(page);
  await page.getByText("permission to publish here").waitFor();
  await page.getByRole("tab", { name: "Members" }).click();
  await page.getByText("permission to see who is in private").waitFor();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByText("permission to change the settings of private").waitFor();
  await checkLooks(page, "console-refused");
  await page.getByLabel("Find or open a channel").fill("public/news");
  await page.getByLabel("Find or open a channel").press("Enter");
  await state(page, "open").waitFor();
  await publish(weir.url, "public/news", "for all", bearer(await weir.token()));
  await page.locator(".row-line", { hasText: "for all" }).waitFor();

  await page.locator("summary", { hasText: "Sign in" }).click();
  await signIn(page, await weir.token());
  await page.getByText("Signed in as ann").waitFor();
  assert.deepEqual(errors.filter((error) => !STATUS_LINE.test(error)), []);
});

guardedBrowserTest(
  "a token for few channels leads to what it may see",
  {},
  async ({ server: weir, page }) => {
    await page.goto(weir.url);
    await signIn(page, await weir.token({ subscribe: ["news/**"] }));
    await page.getByText("news/**", { exact: true }).waitFor();
    await checkLooks(page, "console-few-rights");
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, await weir.token({ subscribe: ["news/**", "orders"] }));
    await page.getByRole("heading", { name: "orders" }).waitFor();
    await state(page, "open").waitFor();
  },
);

guardedBrowserTest(
  "injected markup can't run in the page",
  {},
  async ({ server: weir, page, errors }) => {
    await visit(page, weir, newChannel());
    await page.getByLabel("Token").waitFor();
    const html = await page.evaluate(() => {
      try {
        document.body.innerHTML = `<img src="x" onerror="document.title = 'run'">`;
        return "taken";
      } catch (cause) {
        return String(cause);
      }
    });
    assert.match(html, /requires 'TrustedHTML'/);
    const isStyled = await page.evaluate(() => {
      const style = document.createElement("style");
      style.append("body { display: none }");
      document.head.append(style);
      return getComputedStyle(document.body).display === "none";
    });
    assert.equal(isStyled, false);
    assert.ok(errors.some((error) => error.includes("style-src")));
  },
);

async function visit(page: Page, weir: Guarded<WeirServer>, channel: string): Promise<void> {
  await page.goto(`${weir.url}/?${new URLSearchParams({ channel })}`);
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.locator(".sign-in").getByRole("button", { name: "Sign in" }).click();
}

function refusal(page: Page) {
  return page.locator(".sign-in").getByRole("alert");
}

function state(page: Page, status: string) {
  return page.locator(`.connection[data-status="${status}"]`);
}

function notice(page: Page) {
  return page.locator(".sign-in-notice");
}
