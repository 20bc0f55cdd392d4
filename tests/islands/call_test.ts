import assert from "node:assert/strict";
import { browserTest, FAKE_DEVICES } from "../support/browser_fixture.ts";
import { checkLooks, openPage } from "../support/pages.ts";
import {
  button,
  callUrl,
  camera,
  hasDevices,
  isConnected,
  isIn,
  isMoving,
  join,
  news,
  paintDevices,
  shows,
  tile,
} from "./call_page.ts";

browserTest(
  "two people who follow a link see each other, until one leaves",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    await openPage(ann, `${server.url}/call`);
    await checkLooks(ann, "call-start");
    await button(ann, "Start a new call").click();
    await hasDevices(ann);
    await checkLooks(ann, "call-lobby");
    await join(ann, ann.url(), "Ann");
    await news(ann, "Nobody else is here yet.").waitFor();
    await checkLooks(ann, "call-alone");
    const link = await ann.locator(".call-invitation code").innerText();
    assert.match(link, /\/call\?room=[a-z]+-[a-z]+-[0-9a-f]{12}$/);

    const bob = await chromium.newVisitor();
    await join(bob, link, "Bob");
    await news(ann, "Bob joined.").waitFor();
    await news(bob, "Ann is here.").waitFor();
    await isConnected(ann, "Bob");
    await isConnected(bob, "Ann");
    await isMoving(tile(ann, "Bob"));
    await isMoving(tile(bob, "Ann"));
    await tile(ann, "Bob").and(ann.locator('[data-speaking="true"]')).waitFor(); // it beeps
    await checkLooks(ann, "call-two");

    await button(bob, "Leave").click();
    await bob.getByRole("heading", { name: /^You left / }).waitFor();
    await checkLooks(bob, "call-left");
    await news(ann, "Bob left.").waitFor();
    await tile(ann, "Bob").waitFor({ state: "detached" });
    await button(bob, "Join again").click();
    await hasDevices(bob);
    await button(bob, "Join the call").click();
    await isConnected(ann, "Bob");
    await isMoving(tile(ann, "Bob"));
    await bob.close();
    await news(ann, "Bob left.").waitFor();
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "others see who is muted, whose camera is off and a shared screen",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    const bob = await chromium.newVisitor();
    await openPage(bob, callUrl(server, "r"));
    await hasDevices(bob);
    await button(bob, "Mute").click();
    await bob.getByText("Others will see you, but not hear you.").waitFor();
    await bob.getByLabel("Your name").fill("Bob");
    await button(bob, "Join the call").click();
    await join(ann, callUrl(server, "r"), "Ann");
    await isMoving(tile(ann, "Bob"));
    await tile(ann, "Bob").getByText("Muted:").waitFor();
    await button(bob, "Unmute").click();
    await tile(ann, "Bob").getByText("Muted:").waitFor({ state: "detached" });

    await button(bob, "Stop camera").click();
    await tile(ann, "Bob").and(ann.locator('[data-picture="false"]')).waitFor();
    await button(bob, "Start camera").click();
    await tile(ann, "Bob").and(ann.locator('[data-picture="true"]')).waitFor();
    await isMoving(tile(ann, "Bob"));

    await button(bob, "Share screen").click();
    await news(ann, "Bob shares a screen.").waitFor();
    await isMoving(ann.locator(".is-screen"));
    await isMoving(tile(ann, "Bob"));
    await button(ann, "Quality").click();
    await tile(ann, "Bob").getByText("640 × 360").waitFor();
    await tile(ann, "Bob").getByText("direct").waitFor();
    await tile(ann, "Bob").getByText(/^\d+ kbit\/s$|Mbit\/s$/).first().waitFor();
    await button(ann, "Devices").click();
    await checkLooks(ann, "call-screen");
    await button(bob, "Share screen").click();
    await news(ann, "Bob no longer shares a screen.").waitFor();
    await ann.locator(".is-screen").waitFor({ state: "detached" });
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "others see the camera and the screen that one changes to",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    const bob = await chromium.newVisitor();
    await paintDevices(bob);
    await join(bob, callUrl(server, "r"), "Bob");
    await join(ann, callUrl(server, "r"), "Ann");
    await shows(tile(ann, "Bob"), "red");
    await button(bob, "Devices").click();
    for (const colour of ["blue", "red"] as const) {
      await camera(bob).selectOption(colour);
      await shows(tile(bob, "Bob"), colour);
      await shows(tile(ann, "Bob"), colour);
    }
    for (const colour of ["green", "yellow"] as const) {
      await button(bob, "Share screen").click();
      await shows(ann.locator(".is-screen"), colour);
      await shows(tile(ann, "Bob"), "red");
      await button(bob, "Share screen").click();
      await ann.locator(".is-screen").waitFor({ state: "detached" });
    }
    // One that starts after a change of cameras sends the chosen one.
    await camera(bob).selectOption("blue");
    await button(bob, "Stop camera").click();
    await tile(ann, "Bob").and(ann.locator('[data-picture="false"]')).waitFor();
    await button(bob, "Start camera").click();
    await shows(tile(ann, "Bob"), "blue");
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "one may join without any device and start it later",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    const bob = await chromium.newVisitor();
    await openPage(bob, callUrl(server, "r"));
    await hasDevices(bob);
    await button(bob, "Stop camera").click();
    await button(bob, "Mute").click();
    await bob.getByText("Others will neither see nor hear you.").waitFor();
    await bob.getByLabel("Your name").fill("Bob");
    await button(bob, "Join the call").click();
    await join(ann, callUrl(server, "r"), "Ann");
    await isConnected(ann, "Bob");
    assert.equal(await tile(ann, "Bob").getAttribute("data-picture"), "false");
    await isMoving(tile(bob, "Ann"));

    await button(bob, "Start camera").click();
    await isMoving(tile(ann, "Bob"));
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "a visitor who denies the camera reads what to do, and can join without it",
  { flags: ["--use-fake-device-for-media-stream"] }, // without a permission
  async ({ server, chromium, page: ann }) => {
    await openPage(ann, callUrl(server, "r"));
    await ann.getByText("The browser blocks the camera. Allow it in the site settings").waitFor();
    await ann.getByText("The browser blocks the microphone.").waitFor();
    await checkLooks(ann, "call-denied");
    await ann.context().grantPermissions(["camera"]);
    await ann.locator(".call-device", { hasText: "blocks the camera" })
      .getByRole("button", { name: "Try again" }).click();
    await ann.getByText("Others will see you, but not hear you.").waitFor();
    await ann.getByLabel("Your name").fill("Ann");
    await button(ann, "Join the call").click();

    const bob = await chromium.newVisitor();
    await openPage(bob, callUrl(server, "r"));
    await bob.getByText("Others will neither see nor hear you.").waitFor();
    await bob.getByLabel("Your name").fill("Bob");
    await button(bob, "Join the call").click();
    await isMoving(tile(bob, "Ann"));
    await isConnected(ann, "Bob");
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "a call works by keyboard alone",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    await openPage(ann, `${server.url}/call`);
    const focused = () => ann.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
    const tabTo = async (name: string) => {
      for (let i = 0; i < 40 && await focused() !== name; i++) await ann.keyboard.press("Tab");
      assert.equal(await focused(), name);
    };
    await ann.getByLabel("Room name or link").focus();
    await ann.keyboard.press("Enter");
    await ann.getByText("Enter a room name.").waitFor();
    await ann.keyboard.type(callUrl(server, "by keyboard"));
    await ann.keyboard.press("Enter");
    await hasDevices(ann);
    await tabTo("Join the call");
    await ann.keyboard.press("Enter");
    await isIn(ann);
    assert.equal(await focused(), "by keyboard"); // the heading
    await tabTo("Mute");
    await ann.keyboard.press("Space");
    await button(ann, "Unmute").waitFor();
    assert.equal(await focused(), "Unmute");
    await tabTo("Quality");
    await ann.keyboard.press("Enter");
    assert.equal(await button(ann, "Quality").getAttribute("aria-pressed"), "true");
    await tabTo("Leave");
    await ann.keyboard.press("Enter");
    await button(ann, "Join again").waitFor();
    assert.equal(await focused(), "You left by keyboard");
    assert.deepEqual(chromium.errors, []);
  },
);

browserTest(
  "a call continues while the server is away",
  { flags: FAKE_DEVICES },
  async ({ server, chromium, page: ann }) => {
    const bob = await chromium.newVisitor();
    await join(ann, callUrl(server, "r"), "Ann");
    await join(bob, callUrl(server, "r"), "Bob");
    await isMoving(tile(ann, "Bob"));
    await server.kill();
    await ann.getByText("Can't reach the server. Retrying…").waitFor();
    await isMoving(tile(ann, "Bob"));
    await isMoving(tile(bob, "Ann"));
    await button(bob, "Mute").click();
    await tile(ann, "Bob").getByText("Muted:").waitFor();
    await server.start();
    await ann.locator('.connection[data-status="open"]').waitFor();
    const cid = await chromium.newVisitor();
    await join(cid, callUrl(server, "r"), "Cid");
    for (const name of ["Ann", "Bob"]) await isMoving(tile(cid, name));
    await isMoving(tile(ann, "Bob"));
    assert.deepEqual(await ann.locator(".call-caption bdi").allInnerTexts(), ["Bob", "Cid", "Ann"]);
  },
);

browserTest(
  "names of others are text, and a seventh person brings the advice about larger calls",
  { flags: FAKE_DEVICES },
  async ({ server, page: ann, errors }) => {
    await join(ann, callUrl(server, "r"), "Ann");
    const enter = async (member: string, name: string) => {
      const path = `/v1/channels/call:r/members/${member}?session=${member}`;
      const answer = await fetch(`${server.url}${path}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ data: { name, screen: { not: "text" } } }),
      });
      await answer.body?.cancel();
      assert.ok(answer.ok, `status ${answer.status}`);
    };
    await enter("m1", "<b>Eve</b>\u202e");
    await tile(ann, "<b>Eve</b>\\\\u202e").waitFor();
    await ann.getByText("Connecting…").waitFor();
    for (const n of [2, 3, 4, 5]) await enter(`m${n}`, `Person ${n}`);
    await tile(ann, "Person 5").waitFor();
    assert.equal(await ann.getByText("This call is a mesh of").count(), 0);
    await enter("m6", "Person 6");
    await ann.getByText("This call is a mesh of 7 people.").waitFor();
    await checkLooks(ann, "call-seven");
    await ann.getByRole("link", { name: "More about larger calls" }).click();
    await ann.getByRole("heading", { name: "Larger calls" }).waitFor();
    assert.deepEqual(errors, []);
  },
);
