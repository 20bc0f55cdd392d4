/** Where `deno task build` puts what browsers load. */
export const ASSETS_FOLDER: URL = new URL("../dist/", import.meta.url);

/** Every asset there is: what isn't named here can't be read, whatever a path says. */
const CONTENT_TYPES = {
  "console.js": "text/javascript; charset=utf-8",
  "chat.js": "text/javascript; charset=utf-8",
  "dashboard.js": "text/javascript; charset=utf-8",
  "lab.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
} as const;

export type AssetName = keyof typeof CONTENT_TYPES;

export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  /** A strong validator (RFC 9110 §8.8.3). */
  readonly etag: string;
}

export function isAssetName(name: string): name is AssetName {
  return Object.hasOwn(CONTENT_TYPES, name);
}

/** The asset as it was built last; undefined where nothing was built. */
export async function readAsset(name: AssetName): Promise<Asset | undefined> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(new URL(name, ASSETS_FOLDER));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw cause;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { bytes, contentType: CONTENT_TYPES[name], etag: `"${digest.toHex().slice(0, 32)}"` };
}
