import assert from "node:assert/strict";
import { browserTest } from "../support/browser_fixture.ts";
import { newChannel } from "../support/publishing.ts";
import { line, NETWORK, open, openForm, shown } from "./console_page.ts";

browserTest(
  "the form publishes data byte for byte",
  async ({ server, page, errors }) => {
    const channel = newChannel();
    await open(page, server, channel);
    const form = await openForm(page);
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
  },
);

browserTest(
  "an ephemeral event is shown and not stored",
  async ({ server, page, errors }) => {
    const channel = newChannel();
    await open(page, server, channel);
    const form = await openForm(page);
    await form.getByLabel("Ephemeral").check();
    assert.equal(await form.getByLabel("Id").isDisabled(), true);
    await form.getByLabel("Data").fill(`"typing"`);
    await form.getByRole("button", { name: "Publish" }).click();
    await page.locator(`[data-kind="ephemeral"]`, { hasText: "typing" }).click();
    await page.getByText("never stored").waitFor();
    await open(page, server, channel);
    await page.getByText("No events yet").waitFor();
    assert.deepEqual(errors, []);
  },
);
