import assert from "node:assert/strict";
import { bundleApp, serveApp } from "../../../support/app_site.ts";
import { Chromium, CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel } from "../../../support/publishing.ts";

/** An app that uses the client's observables without any hook of ours. */
const APP = `
  import { createElement as h, StrictMode, useSyncExternalStore } from "react";
  import { createRoot } from "react-dom/client";
  import { connect } from "weir-client";

  const query = new URLSearchParams(location.search);
  const weir = connect(query.get("weir"));
  const room = weir.presence(query.get("channel"));

  function App() {
    const { status } = useSyncExternalStore(weir.state.subscribe, () => weir.state.value);
    const members = useSyncExternalStore(room.members.subscribe, () => room.members.value);
    return h("main", null, status + ": " + members.map(({ member }) => member).join());
  }
  createRoot(document.querySelector("#app")).render(h(StrictMode, null, h(App)));
  globalThis.enter = (member) => room.enter(undefined, { member });
`;

Deno.test("React's useSyncExternalStore reads the state and members", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await LocalServer.start();
  await using site = serveApp(await bundleApp(APP, new URL(".", import.meta.url)));
  await using chromium = await Chromium.open();
  const { page, errors } = chromium;
  const query = new URLSearchParams({ weir: server.url, channel: newChannel() });
  await page.goto(`${site.url}/?${query}`);
  await page.locator("main", { hasText: "open: " }).waitFor();
  await page.evaluate(`enter("ann")`);
  await page.locator("main", { hasText: "open: ann" }).waitFor();
  assert.deepEqual(errors, []);
});
