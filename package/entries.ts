export const ROOT = new URL("../", import.meta.url);

/** The package's entry points, by the name that they have in the package. */
export const ENTRIES = {
  weir: new URL("lib/client/client.ts", ROOT),
  tabs: new URL("lib/client/tabs/tabs.ts", ROOT),
} as const;

export function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname);
}
