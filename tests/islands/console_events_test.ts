import assert from "node:assert/strict";
import { browserTest } from "../support/browser_fixture.ts";
import { checkLooks, openPage, setLook } from "../support/pages.ts";
import { newChannel, post, publish, publishNumbers } from "../support/publishing.ts";
import { until } from "../support/until.ts";
import {
  allRows,
  allShown,
  clipboard,
  isStill,
  line,
  mostRows,
  NETWORK,
  open,
  openForm,
  publishMany,
  row,
  shown,
  state,
  watchRows,
} from "./console_page.ts";

browserTest(
  "the console shows stored events and new ones",
  async ({ server, page, errors }) => {
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
  },
);

browserTest("every event is shown once when the server is killed", async ({ server, page }) => {
  const channel = newChannel();
  await open(page, server, channel);
  const total = 120;
  const killed = Promise.withResolvers<void>();
  const isBack = Promise.withResolvers<void>();

  const publishing = (async () => {
    for (let i = 1; i <= total; i++) {
      const once = () => publish(server.url, channel, i, { "Idempotency-Key": `n${i}` });
      // An interrupted publish may have been committed: the key makes it count once.
      await once().catch(async () => {
        await isBack.promise;
        await once();
      });
      if (i === total / 2) killed.resolve(server.kill().then(() => {}));
    }
  })();
  await killed.promise;
  await state(page, "reconnecting").waitFor();
  await page.locator(".console[data-stale]").waitFor(); // rates are paler
  await server.start();
  isBack.resolve();
  await publishing;
  await state(page, "open").waitFor();
  assert.equal(await page.locator(".console[data-stale]").count(), 0);
  await publish(server.url, channel, "end"); // after everything that could be repeated
  await line(page, "end").waitFor();

  const lines = await allRows(page);
  const numbers = lines.filter(({ kind }) => kind === "event").map(({ data }) => data);
  assert.deepEqual(numbers, [...Array.from({ length: total }, (_, i) => String(i + 1)), "end"]);
  const notices = lines.filter(({ kind }) => kind !== "event").map(({ kind }) => kind);
  assert.deepEqual(notices, ["connection", "connection"]);
});

browserTest(
  "a recreated channel shows a gap",
  async ({ server, page, errors }) => {
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
  },
);

browserTest(
  "the list scrolls through 100,000 events and shows 1,000 per second",
  async ({ server, page, errors }) => {
    const channel = newChannel();
    const total = 100_000;
    for (let i = 0; i < total; i += 1_000) {
      const batches = Array.from(
        { length: 10 },
        (_, n) => publishMany(server, channel, i + n * 100),
      );
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
  },
);

browserTest(
  "scrolling up stops following until a button is pressed",
  async ({ server, page, errors }) => {
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
  },
);

browserTest(
  "the filter finds events by text and type, including old ones",
  async ({ server, page, errors }) => {
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
  },
);

browserTest(
  "a paused list shows nothing new and misses nothing",
  async ({ server, page, errors }) => {
    const channel = newChannel();
    await publishNumbers(server.url, channel, 2);
    await open(page, server, channel);
    await page.getByRole("button", { name: "Pause" }).click();
    await publish(server.url, channel, 3);
    // The list of channels is still polled, so it shows when the event is stored.
    await page.locator(".channel[aria-current]", { hasText: "3" }).waitFor();
    assert.deepEqual(await shown(page), ["1", "2"]);
    await page.getByRole("button", { name: "Resume" }).click();
    await line(page, "3").waitFor();
    assert.deepEqual(await shown(page), ["1", "2", "3"]);
    assert.deepEqual(errors, []);
  },
);

browserTest(
  "an event's details can be copied",
  async ({ server, page, errors }) => {
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
  },
);

browserTest(
  "a link to an event shows it, even an old one",
  async ({ server, chromium, page, errors }) => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const channel = newChannel();
    for (let i = 0; i < 5; i++) await publishMany(server, channel, i * 100);
    await open(page, server, channel);
    const list = page.getByRole("listbox");
    await list.press("Home");
    // The row was selected before its event was loaded.
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
    // A missing event is reported, and the others are shown.
    await openPage(tab, (await clipboard(page)).replace(/_\d+$/, "_0000000000009999"));
    await tab.getByText("is no longer stored").waitFor();
    await line(tab, "later").waitFor();
    assert.deepEqual(errors, []);
  },
);

browserTest(
  "each transport can be forced and loses no events",
  async ({ server, page, errors }) => {
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
  },
);

browserTest("reading starts at any given cursor", async ({ server, page, errors }) => {
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

browserTest("the console is accessible in every look", async ({ server, page, errors }) => {
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
  await checkLooks(page, "console-events");
  await openForm(page);
  await checkLooks(page, "console-publish");
  await page.getByRole("listbox").press("ArrowUp");
  await page.getByText("Publish a copy, curl", { exact: true }).click();
  await checkLooks(page, "console");
  await openPage(page, server.url);
  await setLook(page, "light", "phone");
  await checkLooks(page, "console-channels");
  assert.deepEqual(errors, []);
});
