import { createRequire, isBuiltin } from "node:module";
import { build, type Plugin, stop } from "esbuild";
import { ASSETS_FOLDER } from "../lib/assets.ts";
import { PAGE_NAMES } from "../lib/pages.ts";
import { minifyModule } from "../package/minify.ts";

export { buildDocs } from "./docs.ts";

/** The asset with the client's part for files. */
const RTC_FILES = "rtc_files";

const SOURCE = new URL("./", import.meta.url);

/**
 * Resolves bare imports by the import map of `deno.json` to files in Deno's npm cache, so that
 * there is no `node_modules` to install first. Imports of packages by other packages are resolved as
 * Deno does.
 */
export const npmByDeno: Plugin = {
  name: "npm-by-deno",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, kind, importer }) => {
      if (kind === "entry-point") return undefined;
      if (isBuiltin(path)) return { path: `node:${path.replace("node:", "")}`, external: true };
      if (!isMapped(path)) return { path: createRequire(importer).resolve(path) };
      let url = import.meta.resolve(path);
      if (url.startsWith("npm:")) {
        // Loads the package into the cache; its style sheet comes with its script.
        await import(path.replace(/\/dist\/.+\.css$/, ""));
        url = import.meta.resolve(path);
      }
      return { path: fileOf(url) };
    });
  },
};

/**
 * Leaves the client's part for files out of the pages' scripts, which import it when the first
 * transfer begins.
 */
const filesApart: Plugin = {
  name: "files-apart",
  setup({ onResolve }) {
    onResolve(
      { filter: /\/files\.ts$/ },
      ({ kind }) =>
        kind === "dynamic-import" ? { path: `./${RTC_FILES}.js`, external: true } : undefined,
    );
  },
};

/** Bundles and minifies a script and a style sheet for each page into `folder`. */
export async function buildIslands(folder: URL = ASSETS_FOLDER): Promise<void> {
  try {
    const { outputFiles } = await build({
      absWorkingDir: fileOf(SOURCE),
      entryPoints: [
        { in: "./style/base.css", out: "base" },
        { in: "./icon.svg", out: "icon" },
        { in: "../lib/client/rtc/files/files.ts", out: RTC_FILES },
        ...PAGE_NAMES.flatMap((page) => [
          { in: `./${page}/entry.tsx`, out: page },
          { in: `./${page}/entry.css`, out: page },
        ]),
      ],
      outdir: fileOf(folder),
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      jsx: "automatic",
      jsxImportSource: "preact",
      loader: { ".svg": "copy" },
      legalComments: "none",
      logLevel: "warning",
      plugins: [filesApart, npmByDeno],
      write: false,
    });
    await Deno.mkdir(folder, { recursive: true });
    for (const { path, contents, text } of outputFiles) {
      const isScript = path.endsWith(".js");
      await Deno.writeFile(
        path,
        isScript ? new TextEncoder().encode(await minifyModule(text)) : contents,
      );
    }
  } finally {
    await stop();
  }
}

/** Tells whether the import map resolves a bare import. */
function isMapped(path: string): boolean {
  try {
    import.meta.resolve(path);
    return true;
  } catch {
    return false;
  }
}

function fileOf(url: URL | string): string {
  return decodeURIComponent(new URL(url).pathname);
}
