import assert from "node:assert/strict";
// @ts-types="@types/react"
import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import type { Page } from "playwright-core";
import { connect } from "../../../../lib/client/client.ts";
import { call } from "../../../support/calls.ts";
import { bundleApp, serveApp } from "../../../support/app_site.ts";
import { Chromium, CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { namesIn } from "../../../support/members.ts";
import { until } from "../../../support/until.ts";
import { App } from "./react_app.ts";

const FOLDER = new URL(".", import.meta.url);

/** Mounts the app in Strict Mode, in which React runs each effect twice. */
const MAIN = `
  import { createElement as h, StrictMode } from "react";
  import { createRoot, hydrateRoot } from "react-dom/client";
  import { connect } from "weir-client";
  import { App } from "./react_app.ts";

  const query = new URLSearchParams(location.search);
  const sent = globalThis.sent = [];
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (frame) {
    for (const line of frame.split("\\n")) sent.push(JSON.parse(line));
    return send.call(this, frame);
  };
  globalThis.connections = 0;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      connections++;
    }
  };
  const weir = globalThis.weir = connect(query.get("weir"));
  const app = h(StrictMode, null, h(App, { weir, prefix: query.get("prefix") }));
  const root = document.querySelector("#app");
  const html = query.get("html");
  if (html) root.innerHTML = html;
  globalThis.root = html ? hydrateRoot(root, app) : createRoot(root);
  if (!html) globalThis.root.render(app);
`;

for (const isHydrated of [false, true]) {
  Deno.test(
    `React hooks read, publish and enter in Strict Mode, ${isHydrated ? "hydrated" : "rendered"}`,
    {
      ignore: CHROMIUM_MISSING,
    },
    async () => {
      await using server = await LocalServer.start();
      await using site = serveApp(await bundleApp(MAIN, FOLDER));
      await using chromium = await Chromium.open();
      const { page, errors } = chromium;
      const prefix = newChannel();
      await publish(server.url, `${prefix}:a`, { n: 7 });
      const query = new URLSearchParams({ weir: server.url, prefix });
      if (isHydrated) {
        const weir = connect("/");
        query.set("html", renderToString(h(App, { weir, prefix })));
        await weir.close();
      }
      await page.goto(`${site.url}/?${query}`);
      await shows(page, "ul", "7 event");
      await shows(page, "output", "open");
      await shows(page, "i", "ann red");
      const subscribes = await sentOf(page, "subscribe");
      assert.equal(subscribes.filter((channel) => channel === `${prefix}:a`).length, 1);
      assert.equal((await sentOf(page, "enter")).length, 1);
      assert.equal(await page.evaluate("connections"), 1);

      // An update of the data is no leave.
      await click(page, "blue");
      await shows(page, "i", "ann blue");
      assert.deepEqual(await sentOf(page, "leave"), []);

      // Pending at once, then stored.
      const pending = await page.evaluate(`(async () => {
      const seen = [];
      new MutationObserver(() => seen.push(document.querySelector("ul").textContent))
        .observe(document.querySelector("ul"), { subtree: true, childList: true, characterData: true });
      document.evaluate("//button[.='publish 1']", document).iterateNext().click();
      while (!seen.at(-1)?.endsWith("1 event")) await new Promise((go) => setTimeout(go, 5));
      return seen;
    })()`);
      assert.deepEqual(pending, ["7 event1 pending", "7 event1 event"]);

      // Refused by the schema.
      await click(page, "publish 101");
      await shows(page, "ul", "7 event1 event101 bad_datadismiss");
      await click(page, "dismiss");
      await shows(page, "ul", "7 event1 event");

      // Unmounted, nothing is read and nobody is there. What is published meanwhile is read later.
      await click(page, "toggle");
      await until(
        "it has left",
        async () => (await namesIn(server.url, `${prefix}:a`)).length === 0,
      );
      await publish(server.url, `${prefix}:a`, { n: 8 });
      await until("it reads no longer", async () => {
        return (await sentOf(page, "unsubscribe")).includes(`${prefix}:a`);
      });
      await click(page, "toggle");
      await shows(page, "ul", "7 event1 event8 event");
      await shows(page, "i", "ann red");

      // Suspended, it keeps its place.
      await click(page, "wait");
      await shows(page, "p >> nth=-1", "waiting");
      await publish(server.url, `${prefix}:a`, { n: 9 });
      await click(page, "resume");
      await shows(page, "ul", "7 event1 event8 event9 event");

      // Another channel.
      await publish(server.url, `${prefix}:b`, { n: 70 });
      await click(page, "other room");
      await shows(page, "ul", "70 event");
      await call(server.url, `/v1/channels/${encodeURIComponent(`${prefix}:b`)}`, {
        method: "DELETE",
      });
      await publish(server.url, `${prefix}:b`, { n: 71 });
      await shows(page, "ul", "70 eventgap71 event");
      await until(
        "it has left",
        async () => (await namesIn(server.url, `${prefix}:a`)).length === 0,
      );

      await page.evaluate("root.unmount()");
      await until(
        "it has left",
        async () => (await namesIn(server.url, `${prefix}:b`)).length === 0,
      );
      assert.deepEqual(errors, []);
    },
  );
}

Deno.test("on a server, React renders without a connection and without an error", async () => {
  await using server = await LocalServer.start();
  for (const url of ["/", server.url]) {
    const weir = connect(url);
    const html = renderToString(h(App, { weir, prefix: "x" }));
    assert.match(html, /<output>idle<\/output>/);
    assert.match(html, /<ul><\/ul>/);
    assert.notEqual(weir.state.value.status, "connecting");
    await weir.close();
  }
});

async function shows(page: Page, selector: string, text: string): Promise<void> {
  const locator = page.locator(selector);
  await until(`${selector} has ${text}`, async () => await locator.textContent() === text);
}

async function click(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name, exact: true }).click();
}

/** The channels of the messages with this `op` that the page has sent. */
async function sentOf(page: Page, op: string): Promise<readonly string[]> {
  return await page.evaluate(
    `sent.filter((message) => message.op === ${JSON.stringify(op)}).map(({ channel }) => channel)`,
  );
}
