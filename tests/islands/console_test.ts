import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { checkLooks, openPage, setLook } from "../support/pages.ts";
import { type Ack, newChannel, post, publish, publishNumbers } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const options = { ignore: CHROMIUM_MISSING };

/** What Chromium itself says of a connection that is cut or refused; not of the page's making. */
const NETWORK = /^Failed to load resource|^WebSocket connection to/;

Deno.test("the console has what was there, and shows what comes", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 3);

  await open(page, server, channel);
  assert.deepEqual(await shown(page), ["1", "2", "3"]);
  const { offset } = await publish(server.url, channel, { four: 4 });
  await page.locator(`[data-offset="${offset}"]`).waitFor();
  assert.deepEqual(await shown(page), ["1", "2", "3", '{"four":4}']);
  await page.locator(".menu summary").click();
  await page.locator(".cursor code").filter({ hasText: offset }).waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("the form publishes what is typed, digit by digit", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await open(page, server, channel);
  const form = page.getByRole("form", { name: "Publish" });
  const outcome = form.getByRole("status");

  await form.getByLabel("Data").fill("[12345678901234567890, 2]");
  await form.getByRole("button", { name: "Publish" }).click();
  await outcome.filter({ hasText: "Stored at" }).waitFor();
  const kept =
    await (await fetch(`${server.url}/v1/channels/${encodeURIComponent(channel)}/events`))
      .text();
  assert.match(kept, /12345678901234567890/);

  await form.getByLabel("Text").check();
  await form.getByLabel("Type").fill("note");
  await form.getByLabel("Key").fill("k");
  await form.getByLabel("Id").fill("mine");
  await form.getByLabel("Time to live, seconds").fill("600");
  await form.getByLabel("Data").fill("<b>two</b>\nlines");
  await form.getByLabel("Data").press("Control+Enter");
  await line(page, "<b>two</b> lines").click();
  const fields = page.locator(".fields");
  assert.match(await fields.innerText(), /mine[^]*note[^]*text\/plain[^]*\bk\b[^]*Expires/);
  await page.getByRole("tab", { name: "Publish" }).click();
  await form.getByLabel("Data").press("Control+Enter");
  await outcome.filter({ hasText: "Already stored" }).waitFor();

  await form.getByLabel("JSON").check();
  await form.getByLabel("Data").fill("{");
  await form.getByRole("button", { name: "Publish" }).click();
  await form.locator(".outcome.is-error").waitFor();
  await form.getByLabel("Type").fill("naïve");
  await form.getByRole("button", { name: "Publish" }).click();
  await outcome.filter({ hasText: "only ASCII" }).waitFor();
  assert.equal((await shown(page)).length, 2);
  assert.deepEqual(errors.filter((error) => !NETWORK.test(error)), []);
});

Deno.test("an ephemeral event is shown to who is there, and not kept", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await open(page, server, channel);
  const form = page.getByRole("form", { name: "Publish" });
  await form.getByLabel("Ephemeral").check();
  assert.equal(await form.getByLabel("Id").isDisabled(), true);
  await form.getByLabel("Data").fill(`"typing"`);
  await form.getByRole("button", { name: "Publish" }).click();
  await page.locator(`[data-kind="ephemeral"]`, { hasText: "typing" }).click();
  await page.getByText("never stored").waitFor();
  await open(page, server, channel);
  await page.getByText("No events yet").waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("every event is shown once though the server is killed", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  const channel = newChannel();
  await open(page, server, channel);
  const total = 120;
  const killed = Promise.withResolvers<void>();
  const isBack = Promise.withResolvers<void>();

  const publishing = (async () => {
    for (let i = 1; i <= total; i++) {
      const once = () => publish(server.url, channel, i, { "Idempotency-Key": `n${i}` });
      // Whether a publish that was cut off was committed nobody knows: the key makes it once.
      await once().catch(async () => {
        await isBack.promise;
        await once();
      });
      if (i === total / 2) killed.resolve(server.kill().then(() => {}));
    }
  })();
  await killed.promise;
  await state(page, "reconnecting").waitFor();
  await server.start();
  isBack.resolve();
  await publishing;
  await state(page, "open").waitFor();
  await publish(server.url, channel, "end"); // behind all that could be repeated
  await line(page, "end").waitFor();

  const lines = await allRows(page);
  const numbers = lines.filter(({ kind }) => kind === "event").map(({ data }) => data);
  assert.deepEqual(numbers, [...Array.from({ length: total }, (_, i) => String(i + 1)), "end"]);
  const notices = lines.filter(({ kind }) => kind !== "event").map(({ kind }) => kind);
  assert.deepEqual(notices, ["connection", "connection"]);
});

Deno.test("that a channel was made again is a line nobody overlooks", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 2);
  await open(page, server, channel);
  const url = `${server.url}/v1/channels/${encodeURIComponent(channel)}`;
  assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
  await publish(server.url, channel, "again");
  await line(page, "again").waitFor();
  const gap = page.locator(`[data-kind="gap"]`);
  assert.match(await gap.innerText(), /deleted and created again/);
  assert.deepEqual(await shown(page), ["1", "2", "again"]);
  await gap.click();
  await page.locator(".details", { hasText: "recreated" }).waitFor();
  assert.deepEqual(errors, []);

  await server.kill("SIGTERM");
  await page.locator(`[data-kind="connection"]`).waitFor();
  await server.start();
  await publish(server.url, channel, "after");
  await line(page, "after").waitFor();
  assert.deepEqual(await shown(page), ["1", "2", "again", "after"]);
});

Deno.test("100,000 events are scrolled through, and 1,000 a second shown", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  const total = 100_000;
  for (let i = 0; i < total; i += 1_000) {
    const batches = Array.from({ length: 10 }, (_, n) => publishMany(server, channel, i + n * 100));
    await Promise.all(batches);
  }
  await open(page, server, channel);
  await watchRows(page);
  const list = page.getByRole("listbox");
  await row(page, total).waitFor();
  await list.press("Home");
  await row(page, 1).filter({ hasNotText: "…" }).waitFor();
  assert.equal(await row(page, 1).getAttribute("aria-selected"), "true");
  assert.equal(await row(page, 1).getAttribute("aria-setsize"), String(total));
  for (const part of [0.9, 0.1, 0.5001, 0.2345, 0.75]) {
    await list.evaluate((element, part) => element.scrollTop = part * element.scrollHeight, part);
    await until("the rows there are read", async () => {
      const rows = await allShown(page);
      const first = Math.round(part * total);
      return rows.length > 0 && rows.every(({ kind }) => kind === "event") &&
        rows.some(({ sequence }) => Math.abs(sequence - first) < 3);
    });
    const rows = await allShown(page);
    rows.forEach(({ sequence }, i) => assert.equal(sequence, (rows[0]?.sequence ?? 0) + i));
  }

  await list.press("End");
  await row(page, total).waitFor();
  for (let second = 0; second < 10; second++) {
    const start = performance.now();
    for (let i = 0; i < 10; i++) {
      await publishMany(server, channel, total + second * 1_000 + i * 100);
    }
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, 1_000 - (performance.now() - start)))
    );
  }
  await row(page, total + 10_000).waitFor();
  const rows = await allShown(page);
  rows.forEach(({ sequence }, i) => assert.equal(sequence, total + 10_000 - rows.length + 1 + i));
  assert.ok(await mostRows(page) < 80);
  assert.deepEqual(errors, []);
});

Deno.test("scrolling up stops following, and a button brings it back", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 80);
  await open(page, server, channel);
  await row(page, 80).waitFor();
  const list = page.getByRole("listbox");
  await list.hover();
  await page.mouse.wheel(0, -600);
  const newest = page.locator(".newest");
  await newest.waitFor();
  await until("scrolling has ended", async () => await isStill(page));
  const before = await allShown(page);
  const acks = [];
  for (let i = 81; i <= 90; i++) acks.push(await publish(server.url, channel, i));
  await newest.filter({ hasText: "10 new" }).waitFor();
  assert.deepEqual((await allShown(page)).slice(0, 15), before.slice(0, 15));
  await newest.click();
  await row(page, 90).waitFor();
  assert.equal(await newest.count(), 0);
  await publish(server.url, channel, 91);
  await row(page, 91).waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("a filter finds events by text and type, also older ones", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publish(server.url, channel, "needle one", { "Weir-Type": "note" });
  for (let i = 0; i < 15; i++) await publishMany(server, channel, i * 100);
  await publish(server.url, channel, "needle two");
  await open(page, server, channel);
  await page.getByLabel("Filter by text").fill("NEEDLE");
  await page.getByText("1 found").waitFor();
  await publish(server.url, channel, "needle three", { "Weir-Type": "note" });
  await line(page, "needle three").waitFor();
  const more = page.getByRole("button", { name: "Search further back" });
  await more.click();
  await until("one look is over", async () => !await more.isDisabled());
  assert.deepEqual(await shown(page), ["needle two", "needle three"]);
  await more.click();
  await line(page, "needle one").waitFor();
  assert.equal(await more.count(), 0);
  await page.getByLabel("Filter by type").fill("note");
  await page.getByText("2 found").waitFor();
  assert.deepEqual(await shown(page), ["needle one", "needle three"]);
  await page.getByLabel("Filter by text").fill("no such thing");
  await page.getByText("No matching events.").waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("nothing comes while it is paused, and nothing is missing after", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 2);
  await open(page, server, channel);
  await page.getByRole("button", { name: "Pause" }).click();
  await publish(server.url, channel, 3);
  // The list of channels is read all the while, so it tells when the page could have known.
  await page.locator(".channel[aria-current]", { hasText: "3" }).waitFor();
  assert.deepEqual(await shown(page), ["1", "2"]);
  await page.getByRole("button", { name: "Resume" }).click();
  await line(page, "3").waitFor();
  assert.deepEqual(await shown(page), ["1", "2", "3"]);
  assert.deepEqual(errors, []);
});

Deno.test("one event is shown with all it has, to be copied", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const channel = newChannel();
  const { offset } = await publish(server.url, channel, { a: [1, "x", null] });
  const image = { "Content-Type": "image/png" };
  await (await post(server.url, channel, new Uint8Array([0, 255, 65]), image)).body?.cancel();
  await open(page, server, channel);
  await row(page, 1).click();
  assert.equal(
    await page.getByLabel("Data", { exact: true }).locator("pre").innerText(),
    `{\n  "a": [\n    1,\n    "x",\n    null\n  ]\n}`,
  );
  await page.getByRole("button", { name: "Copy offset" }).click();
  assert.equal(await clipboard(page), offset);
  await page.getByText("Read from here, curl", { exact: true }).click();
  await page.getByRole("button", { name: "Read from here, curl" }).click();
  assert.match(
    await clipboard(page),
    new RegExp(`curl -N[^]*Last-Event-ID: ${offset.slice(0, -1)}0"`),
  );

  await page.getByRole("listbox").press("ArrowDown");
  await page.getByText("000000  00 ff 41").waitFor();
  await page.getByRole("button", { name: "Show base64" }).click();
  await page.getByText("AP9B", { exact: true }).waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("channels are found, opened, made and gone back to", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  for (let i = 100; i < 205; i++) await publish(server.url, `room/${i}`, i);
  await open(page, server, "room/100");
  const list = page.getByRole("navigation", { name: "Channels" });
  assert.equal(await list.locator(".channel").count(), 100);
  await list.getByRole("button", { name: "Show more" }).click();
  await list.getByText("room/204").click();
  await line(page, "204").waitFor();
  assert.match(page.url(), /\?channel=room%2F204$/);

  const search = page.getByLabel("Find or open a channel");
  await search.fill("room/10");
  await until("the list is searched", async () => await list.locator(".channel").count() === 11);
  await search.fill("a new one");
  await search.press("Enter");
  await page.getByRole("heading", { name: "a new one" }).waitFor();
  await state(page, "open").waitFor();
  const form = page.getByRole("form", { name: "Publish" });
  await form.getByRole("button", { name: "Publish" }).click();
  await line(page, `{"hello":"world"}`).waitFor();
  await list.getByText("a new one").waitFor();

  await page.goBack();
  await line(page, "204").waitFor();
  await page.goBack();
  await line(page, "100").waitFor();
  await page.goForward();
  await line(page, "204").waitFor();
  assert.deepEqual(errors, []);
});

Deno.test(
  "a channel without events says how to publish to it, in a command that works",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page, errors } = chromium;
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const channel = "it's / new";
    await open(page, server, channel);
    await checkLooks(page, "console-empty");
    await page.getByRole("button", { name: "Copy the snippet: Publish, curl" }).click();
    const command = await clipboard(page);
    const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
    assert.equal(success, true);
    await line(page, `{"hello":"world"}`).waitFor();
    assert.deepEqual(errors, []);
  },
);

Deno.test("on a phone the first run leads to a channel", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await setLook(page, "light", "phone");
  await openPage(page, server.url);
  await page.getByRole("button", { name: "Open demo" }).click();
  await page.getByText("No events yet").waitFor();
});

Deno.test("a link to an event shows it, however long ago it was", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const channel = newChannel();
  for (let i = 0; i < 5; i++) await publishMany(server, channel, i * 100);
  await open(page, server, channel);
  const list = page.getByRole("listbox");
  await list.press("Home");
  // It was chosen before it was read.
  const data = page.getByLabel("Data", { exact: true }).locator("pre");
  await data.getByText("1", { exact: true }).waitFor();
  await page.waitForURL(/event=[0-9a-z]{9}_0{15}1$/);
  for (let i = 0; i < 59; i++) await list.press("ArrowDown");
  await data.getByText("60", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Copy link to this event" }).click();

  const tab = await chromium.newTab();
  await openPage(tab, await clipboard(page));
  await row(tab, 60).and(tab.locator('[aria-selected="true"]')).waitFor();
  await tab.locator(".details pre").first().getByText("60", { exact: true }).waitFor();
  assert.equal(await tab.title(), `${channel} · Console · Weir`);
  await publish(server.url, channel, "later");
  await tab.locator(".newest", { hasText: "1 new" }).waitFor();
  await row(tab, 60).waitFor();
  // One that is there no longer is said to be so, and what is there is shown.
  await openPage(tab, (await clipboard(page)).replace(/_\d+$/, "_0000000000009999"));
  await tab.getByText("is no longer stored").waitFor();
  await line(tab, "later").waitFor();
  assert.deepEqual(errors, []);
});

Deno.test("what is searched is searched in all channels", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  for (let i = 100; i < 305; i++) await publish(server.url, `room/${i}`, i);
  await open(page, server, "room/100");
  const list = page.getByRole("navigation", { name: "Channels" });
  const search = page.getByLabel("Find or open a channel");
  await search.fill("304");
  await list.getByRole("link", { name: "room/304" }).waitFor();
  await search.press("ArrowDown");
  await page.keyboard.press("Enter");
  await line(page, "304").waitFor();
  await search.fill("");
  await until("the first are there", async () => await list.locator(".channel").count() === 100);

  // One stop of the Tab key, whatever there is: the rest by arrows.
  await search.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /^room\/199/);
  await page.keyboard.press("Tab");
  assert.equal(await isFocused(page, ".more"), true);
  assert.deepEqual(errors, []);
});

Deno.test("no name of a channel covers the page, or passes for another", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const long = "a".repeat(240); // so that the channel of its presence has a name too
  await publish(server.url, long, "");
  await publish(server.url, "ns.\u202eevil", { "رسالة": "مرحبا" });
  await open(page, server, long);
  for (const width of ["wide", "phone"] as const) {
    await setLook(page, "light", width);
    for (const tab of ["Members", "Settings", "Events"]) {
      await page.getByRole("tab", { name: tab, exact: true }).click();
    }
  }
  await page.locator(".data", { hasText: "empty" }).waitFor();
  await setLook(page, "light", "wide");
  await page.getByRole("link", { name: "ns.\\u202eevil" }).click();
  await page.getByRole("heading", { name: "ns.\\u202eevil" }).waitFor();
  await row(page, 1).click();
  const name = page.locator(".json-name");
  const [left, right] = [
    await name.boundingBox(),
    await page.locator(".json-string").boundingBox(),
  ];
  assert.ok((left?.x ?? 0) < (right?.x ?? 0));
  assert.deepEqual(errors, []);
});

Deno.test("a channel that grows has a rate", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await publish(server.url, "calm", 1);
  await publish(server.url, "busy", 1);
  await open(page, server, "calm");
  const busy = page.locator(".channel", { hasText: "busy" }).locator(".is-moving");
  let n = 1;
  await until("its rate is there", async () => {
    await publish(server.url, "busy", ++n);
    return await busy.count() === 1;
  });
  assert.match(await busy.innerText(), /^[\d.,]+\/s$/);
  assert.equal(
    await page.locator(".channel", { hasText: "calm" }).locator(".is-moving").count(),
    0,
  );
});

Deno.test("each transport can be the only one, and none loses events", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await open(page, server, channel);
  const names = {
    "sse": /server-sent events/,
    "long-poll": /long poll/,
    "short-poll": /short poll/,
  };
  let n = 0;
  for (const [transport, name] of Object.entries({ ...names, "websocket": /WebSocket/ })) {
    await publish(server.url, channel, ++n);
    await page.getByLabel("Transport").selectOption(transport);
    await page.locator(`.connection[data-status="open"]`, { hasText: name }).waitFor();
    await publish(server.url, channel, ++n);
    await line(page, String(n)).waitFor();
  }
  assert.deepEqual(await shown(page), Array.from({ length: n }, (_, i) => String(i + 1)));
  assert.deepEqual(errors, []);
});

Deno.test("reading begins at whatever cursor is given", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  const acks = await publishNumbers(server.url, channel, 5);
  await open(page, server, channel);
  const menu = page.locator(".menu");
  await menu.locator("summary").click();
  await menu.getByLabel("Read from another cursor").fill(acks[2]?.offset ?? "");
  await menu.getByRole("button", { name: "Read", exact: true }).click();
  await line(page, "5").waitFor();
  await until("only what is behind it is there", async () => (await shown(page)).join() === "4,5");
  await menu.locator("summary").click();
  await menu.getByRole("button", { name: "Latest" }).click();
  await page.getByText("No events yet").waitFor();
  await state(page, "open").waitFor();
  await menu.locator("summary").click();
  await menu.getByRole("button", { name: "Earliest" }).click();
  await until("all is there", async () => (await shown(page)).join() === "1,2,3,4,5");
  await menu.locator("summary").click();
  await menu.getByLabel("Read from another cursor").fill("nonsense");
  await menu.getByRole("button", { name: "Read", exact: true }).click();
  await page.locator(".strip.problem", { hasText: "nonsense" }).waitFor();
  assert.deepEqual(errors.filter((error) => !NETWORK.test(error)), []);
});

Deno.test("what a channel keeps is set, and it is deleted by its name", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await publishNumbers(server.url, channel, 3);
  await open(page, server, channel);
  await page.getByRole("tab", { name: "Settings" }).click();
  const form = page.getByRole("form", { name: "Retention" });
  await form.getByLabel("Age, in seconds").fill("3600");
  await form.getByText("1 h", { exact: true }).waitFor();
  await form.getByLabel("Events").fill("0");
  await form.getByRole("button", { name: "Save" }).click(); // the browser refuses it
  await form.getByLabel("Events").fill("99999999999999");
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("Too big").waitFor();
  // What was said of it is not said of what comes next.
  await form.getByLabel("Events").fill("1000");
  await form.getByText("Too big").waitFor({ state: "detached" });
  await form.getByLabel("Bytes").fill("");
  await form.getByRole("button", { name: "Save" }).click();
  const url = `${server.url}/v1/channels/${encodeURIComponent(channel)}`;
  await until("it is kept", async () => {
    const { retention } = await (await fetch(url)).json();
    return retention.age === 3_600 && retention.events === 1_000;
  });
  await form.getByText("Saved.").waitFor();
  await checkLooks(page, "console-settings");

  const deletion = page.getByRole("form", { name: "Delete channel" });
  const button = deletion.getByRole("button", { name: "Delete" });
  await deletion.getByLabel("Type the channel name to confirm").fill("another");
  assert.equal(await button.isDisabled(), true);
  await deletion.getByLabel("Type the channel name to confirm").fill(channel);
  await button.click();
  await page.getByText("No events yet").waitFor();
  await publish(server.url, channel, "again");
  await line(page, "again").waitFor();
  assert.deepEqual(errors.filter((error) => !NETWORK.test(error)), []);
});

Deno.test("who is in a channel is shown as they come and go", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = newChannel();
  await open(page, server, channel);
  await page.getByRole("tab", { name: "Members" }).click();
  await page.getByText("Nobody is here").waitFor();
  const url = (member: string) =>
    `${server.url}/v1/channels/${encodeURIComponent(channel)}/members/${member}?session=test`;
  for (const member of ["ann", "bob"]) {
    const response = await fetch(url(member), {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ data: { from: "Berlin" } }),
    });
    await response.body?.cancel();
    assert.equal(response.status, 200);
  }
  await page.getByText("2 members").waitFor();
  assert.match(await page.locator("tbody").innerText(), /ann\s+\{"from":"Berlin"\}[^]*bob/);
  await checkLooks(page, "console-members");
  assert.equal((await fetch(url("ann"), { method: "DELETE" })).status, 204);
  await page.getByText("1 member", { exact: true }).waitFor();
  assert.deepEqual(errors, []);
});

Deno.test(
  "on a phone one goes from the list to a channel to an event, and back",
  options,
  async () => {
    await using server = await WeirServer.start();
    await using chromium = await Chromium.open();
    const { page, errors } = chromium;
    await publish(server.url, "orders", { order: 1 });
    await setLook(page, "light", "phone");
    await openPage(page, server.url);
    await page.locator(".channel", { hasText: "orders" }).click();
    const heading = page.getByRole("heading", { name: "orders" });
    await heading.waitFor();
    await row(page, 1).click();
    await page.locator(".fields").waitFor();
    assert.equal(await heading.isVisible(), false);
    await page.goBack();
    await heading.waitFor();
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByLabel("Data").waitFor();
    await page.locator(".side .back").click();
    await heading.waitFor();
    await page.locator(".channel-view .back").click();
    await page.getByLabel("Find or open a channel").waitFor();
    assert.deepEqual(errors, []);
  },
);

Deno.test("the console is for everyone, in every look", options, async () => {
  await using server = await WeirServer.start();
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const channel = "orders";
  for (const other of ["billing/invoices", "chat:lobby", "sensors/berlin/temperature", "users"]) {
    await publish(server.url, other, 1);
  }
  const types = ["order.created", "order.paid", "order.shipped"];
  const customers = ["ann", "bob", "cleo"];
  for (let i = 0; i < 60; i++) {
    const order = { order: 1_000 + i, customer: customers[i % 3], total: i * 3.5 };
    await publish(server.url, channel, order, { "Weir-Type": types[i % 3] ?? "" });
  }
  await open(page, server, channel);
  await checkLooks(page, "console-publish");
  await page.getByRole("listbox").press("ArrowUp");
  await page.getByText("Publish a copy, curl", { exact: true }).click();
  await checkLooks(page, "console");
  await openPage(page, server.url);
  await setLook(page, "light", "phone");
  await checkLooks(page, "console-channels");
  assert.deepEqual(errors, []);
});

/** Answers once the page reads the channel. */
async function open(page: Page, server: WeirServer, channel: string): Promise<void> {
  await openPage(page, `${server.url}/?${new URLSearchParams({ channel })}`);
  await state(page, "open").waitFor();
}

function state(page: Page, status: string): Locator {
  return page.locator(`.connection[data-status="${status}"]`);
}

function line(page: Page, data: string): Locator {
  return page.locator(".row-line .data").getByText(data, { exact: true });
}

function row(page: Page, sequence: number): Locator {
  return page.locator(`.row-line[data-offset$="_${String(sequence).padStart(16, "0")}"]`);
}

/** The data of the events that are drawn. */
async function shown(page: Page): Promise<readonly string[]> {
  return await page.locator(`.row-line[data-kind="event"] .data`).allTextContents();
}

interface Shown {
  readonly kind: string;
  readonly key: string;
  readonly sequence: number;
  readonly data: string;
}

/** The lines that are drawn. */
async function allShown(page: Page): Promise<readonly Shown[]> {
  return await page.locator(".row-line").evaluateAll((rows) =>
    rows.map((row) => ({
      kind: row.getAttribute("data-kind") ?? "",
      key: row.getAttribute("data-offset") ?? "",
      sequence: Number(row.getAttribute("data-offset")?.slice(10)),
      data: row.querySelector(".data")?.textContent ?? "",
    }))
  );
}

/** All lines, by scrolling from the last to the first. */
async function allRows(page: Page): Promise<readonly Shown[]> {
  const list = page.getByRole("listbox");
  const found: Shown[] = [];
  await list.press("Home");
  for (;;) {
    await until(
      "what is seen is read",
      async () => (await allShown(page)).every(({ kind }) => kind !== "unread"),
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

/** Whether the list stands where it stood a frame before. */
async function isStill(page: Page): Promise<boolean> {
  return await page.getByRole("listbox").evaluate(async (element) => {
    const before = element.scrollTop;
    for (let i = 0; i < 3; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
    return element.scrollTop === before;
  });
}

async function isFocused(page: Page, selector: string): Promise<boolean> {
  return await page.locator(selector).evaluate((element) => element === document.activeElement);
}

/** Counts the lines in the document from now on. */
async function watchRows(page: Page): Promise<void> {
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

async function mostRows(page: Page): Promise<number> {
  return Number(await page.locator("body").getAttribute("data-most-rows"));
}

async function clipboard(page: Page): Promise<string> {
  return await page.evaluate(() => navigator.clipboard.readText());
}

/** 100 events: numbers from `first` on. */
async function publishMany(
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
