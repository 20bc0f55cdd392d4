/** The pages that Weir can serve, in the order of the navigation. */
export const PAGE_NAMES = ["console", "chat", "call", "drop", "dashboard", "lab"] as const;

export type PageName = typeof PAGE_NAMES[number];

/** The pages that a server with keys serves by default: the others are demos. */
export const PAGES_WITH_KEYS: readonly PageName[] = ["console", "dashboard"];

/**
 * Parses page names separated by commas, `all` or `none`. Returns the pages in the order of the
 * navigation.
 *
 * @throws {Error} whose message names the first unknown page
 */
export function parsePages(text: string): readonly PageName[] {
  const value = text.trim();
  if (value === "all") return PAGE_NAMES;
  if (value === "none") return [];
  const names = new Set(value.split(",").map((name) => name.trim()));
  for (const name of names) {
    if (PAGE_NAMES.some((known) => known === name)) continue;
    const allowed = PAGE_NAMES.join(", ");
    throw new Error(
      `all, none, or a list such as console,chat: ${
        JSON.stringify(name)
      } is not one of the pages ${allowed}`,
    );
  }
  return PAGE_NAMES.filter((name) => names.has(name));
}
