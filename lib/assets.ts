import type { PageName } from "./pages.ts";

/** The folder into which `deno task build` writes what browsers load. */
export const ASSETS_FOLDER: URL = new URL("../dist/", import.meta.url);

type AssetName = `${PageName}.js` | `${PageName}.css` | "rtc_files.js" | "base.css" | "icon.svg";

const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** Names every asset: no other file can be read, even by a path with `..` in it. */
const CONTENT_TYPES: Readonly<Record<AssetName, string>> = {
  "console.js": SCRIPT,
  "console.css": STYLE,
  "chat.js": SCRIPT,
  "chat.css": STYLE,
  "call.js": SCRIPT,
  "call.css": STYLE,
  "drop.js": SCRIPT,
  "drop.css": STYLE,
  "dashboard.js": SCRIPT,
  "dashboard.css": STYLE,
  "lab.js": SCRIPT,
  "lab.css": STYLE,
  "rtc_files.js": SCRIPT,
  "base.css": STYLE,
  "icon.svg": "image/svg+xml",
};

interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  /** A strong validator (RFC 9110 §8.8.3). */
  readonly etag: string;
}

/** The forms of a page of the documentation. */
type DocForm = "html" | "md";

/** The file with the list of all pages of the documentation. */
export const DOC_LIST = "llms.txt";

/** Returns the file name of a page of the documentation. @param path such as `client` */
export function docAsset(path: string, form: DocForm): string {
  return `doc_${path.replaceAll("/", ".")}.${form}`;
}

/** Reads a page of the documentation. Returns undefined if there is none. */
export async function readDoc(path: string, form: DocForm): Promise<string | undefined> {
  if (!/^[\w/]{1,64}$/.test(path)) return undefined; // no other file can be read
  return await readText(docAsset(path, form));
}

/** Reads the list of all pages of the documentation. Returns undefined before the first build. */
export async function readDocList(): Promise<string | undefined> {
  return await readText(DOC_LIST);
}

async function readText(name: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(new URL(name, ASSETS_FOLDER));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw cause;
  }
}

export function isAssetName(name: string): name is AssetName {
  return Object.hasOwn(CONTENT_TYPES, name);
}

/** Reads the asset as it was last built. Returns undefined before the first build. */
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
