// deno-lint-ignore-file no-console
/**
 * Measures how long small events wait next to large ones, by the comparison of the page `/lab`, in
 * Chromium and a network namespace: on the network as it is, where packets are lost, and over a slow
 * link. Needs root, iproute2 and iptables.
 * `deno run -A bench/small_next to_large.ts [rounds] [plain] [loss] [slow]`
 */
import type { Page } from "playwright-core";
import { LoopbackNetwork } from "../tests/support/loopback_network.ts";
import { openPage } from "../tests/support/pages.ts";
import { newChannel } from "../tests/support/publishing.ts";
import { WeirServer } from "../tests/support/server.ts";

const LOSS = 0.02;
const MEGABITS = 8;

type Condition = (network: LoopbackNetwork, port: number) => Promise<void>;
const CONDITIONS: Readonly<Record<string, Condition>> = {
  plain: async () => {},
  loss: (network, port) => network.lose(port, LOSS),
  slow: (network, port) => network.limit(port, MEGABITS),
};

const [rounds = "3", ...names] = Deno.args;
for (const [name, impose] of Object.entries(CONDITIONS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  await using network = await LoopbackNetwork.create();
  await using server = await WeirServer.start({ within: network.within });
  const { page } = await network.openChromium();
  await openPage(page, `${server.url}/lab?channel=${newChannel()}`);
  await page.locator('[data-transport="webtransport"] [data-status="open"]').waitFor();
  await page.getByLabel("as it is").check({ force: true });
  await impose(network, server.port);
  for (let round = 0; round < Number(rounds); round++) {
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("Running over").waitFor();
    await page.getByText("Done").waitFor();
    console.log(`${name}: ${await figures(page, "websocket")}`);
    console.log(`${name}: ${await figures(page, "webtransport")}`);
  }
}

async function figures(page: Page, transport: string): Promise<string> {
  const lane = page.locator(`[data-compared="${transport}"]`);
  const [names, values] = [
    await lane.locator("dt").allTextContents(),
    await lane.locator("dd").allTextContents(),
  ];
  return `${transport}: ${names.map((name, i) => `${name} ${values[i]}`).join(", ")}`;
}
