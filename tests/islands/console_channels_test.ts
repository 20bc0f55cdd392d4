import assert from "node:assert/strict";
import { browserTest } from "../support/browser_fixture.ts";
import { checkLooks, openPage, setLook } from "../support/pages.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { until } from "../support/until.ts";
import { clipboard, isFocused, line, NETWORK, open, openForm, row, state } from "./console_page.ts";

browserTest(
  "channels can be found, opened, created and navigated back to",
  async ({ server, page, errors }) => {
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
    const form = await openForm(page);
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
  },
);

browserTest(
  "an empty channel shows a working command that publishes to it",
  async ({ server, page, errors }) => {
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

browserTest("on a phone the first visit leads to a channel", async ({ server, page }) => {
  await setLook(page, "light", "phone");
  await openPage(page, server.url);
  await page.getByRole("button", { name: "Open demo" }).click();
  await page.getByText("No events yet").waitFor();
});

browserTest("the search covers all channels", async ({ server, page, errors }) => {
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

  // The Tab key stops once in the list; arrow keys reach the rest.
  await search.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /^room\/199/);
  await page.keyboard.press("Tab");
  assert.equal(await isFocused(page, ".more"), true);
  assert.deepEqual(errors, []);
});

browserTest(
  "channel names can't break the layout or imitate others",
  async ({ server, page, errors }) => {
    const long = "a".repeat(240); // leaves space for the name of its presence channel
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
  },
);

browserTest("a growing channel has a rate", async ({ server, page }) => {
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

browserTest(
  "a channel's retention can be set and the channel deleted",
  async ({ server, page, errors }) => {
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
    // The error disappears with the next input.
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
  },
);

browserTest(
  "members are shown as they join and leave",
  async ({ server, page, errors }) => {
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
  },
);

browserTest(
  "on a phone the back button leads from an event to its channel to the list",
  async ({ server, page, errors }) => {
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
    await openForm(page);
    await page.getByLabel("Data").waitFor();
    await page.locator(".side .back").click();
    await heading.waitFor();
    await page.locator(".channel-view .back").click();
    await page.getByLabel("Find or open a channel").waitFor();
    assert.deepEqual(errors, []);
  },
);

browserTest("events get the room of the page", async ({ server, page, errors }) => {
  await publishNumbers(server.url, "orders", 30);
  await open(page, server, "orders");
  const list = page.getByRole("listbox");
  const width = async () => (await list.boundingBox())?.width ?? 0;
  await page.setViewportSize({ width: 1_360, height: 800 });
  assert.ok(await width() >= 1_100, `${await width()} pixels of 1,360`);
  const form = await openForm(page);
  await form.getByLabel("Data").fill("31");
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(await form.isVisible(), false);
  await openForm(page);
  assert.equal(await form.getByLabel("Data").inputValue(), "31");

  await setLook(page, "light", "phone");
  const top = (await list.boundingBox())?.y ?? Infinity;
  assert.ok(top <= 160, `${top} pixels above the events`);
  const filter = page.getByLabel("Filter by text");
  assert.equal(await filter.isVisible(), false);
  await page.getByRole("button", { name: "Filter" }).click();
  // A part of the event's id. The epoch before it can have any digits.
  await filter.fill("_0000000000000030");
  await page.getByText("1 found").waitFor();
  assert.deepEqual(errors, []);
});
