import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";

export type Theme = "light" | "dark";
export type Width = "wide" | "phone";

/** Every appearance that a page must support, as `[theme, width]`. */
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

/** The folder for screenshots. @default no screenshots */
const SHOTS = Deno.env.get("SCREENSHOTS");

/** The rules that axe checks: WCAG 2.2 A and AA, and its best practices. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Opens `url`, and resolves once the island is hydrated. */
export async function openPage(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator("#island[data-hydrated]").waitFor({ state: "attached" });
}

/** Sets the theme and the width of the page. */
export async function setLook(page: Page, theme: Theme, width: Width): Promise<void> {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await page.setViewportSize(SIZES[width]);
  // Media queries count from the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

/**
 * Checks the page in both themes and widths: axe finds no violation, and nothing scrolls sideways.
 * Leaves the page light and wide.
 *
 * @param name of the screenshots, which are taken if `SCREENSHOTS` is set.
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

/** Returns the violations that axe finds, as `rule: element: why`. */
export async function findFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async (rules) => {
    // deno-lint-ignore no-explicit-any -- a global of the page
    const { violations }: axe.AxeResults = await (globalThis as any).axe.run({
      runOnly: rules,
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`)
    );
  }, RULES);
}

/** Returns by how many CSS pixels the document is wider than the window. */
async function overflow(page: Page): Promise<number> {
  return await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
}
