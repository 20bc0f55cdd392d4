import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";

export type Theme = "light" | "dark";
export type Width = "wide" | "phone";

/** Every look that a page has to have, as `[theme, width]`. */
export const LOOKS: readonly (readonly [Theme, Width])[] = [
  ["light", "wide"],
  ["dark", "wide"],
  ["light", "phone"],
  ["dark", "phone"],
];

const SIZES: Readonly<Record<Width, { readonly width: number; readonly height: number }>> = {
  wide: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
};

/** A folder for screenshots of what tests look at. @default none are taken */
const SHOTS = Deno.env.get("SCREENSHOTS");

/** What axe holds a page to: WCAG 2.2 A and AA, and what it knows beside those. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Goes to `url`, and answers once the page's island is awake. */
export async function openPage(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator("#island[data-hydrated]").waitFor({ state: "attached" });
}

/** From now on the page is looked at so. */
export async function setLook(page: Page, theme: Theme, width: Width): Promise<void> {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await page.setViewportSize(SIZES[width]);
  // Media queries count from the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

/**
 * The page as it stands, in both themes and widths: no fault that axe finds, and nothing that has
 * to be scrolled sideways. Leaves it light and wide.
 *
 * @param name of the screenshots, which are taken where `SCREENSHOTS` says.
 */
export async function checkLooks(page: Page, name: string): Promise<void> {
  for (const [theme, width] of LOOKS) {
    await setLook(page, theme, width);
    if (SHOTS !== undefined) {
      await page.screenshot({ path: `${SHOTS}/${name}-${theme}-${width}.png` });
    }
    assert.deepEqual(await findFaults(page), [], `${name}, ${theme}, ${width}`);
    assert.equal(await overflow(page), 0, `${name} is wider than the window, ${theme}, ${width}`);
  }
  await setLook(page, "light", "wide");
}

/** What axe finds, as `rule: element: why`. */
export async function findFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async (rules) => {
    // deno-lint-ignore no-explicit-any -- the page's own global, which only the page has
    const { violations }: axe.AxeResults = await (globalThis as any).axe.run({
      runOnly: rules,
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`)
    );
  }, RULES);
}

/** CSS pixels that the document is wider than its window. */
async function overflow(page: Page): Promise<number> {
  return await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
}
