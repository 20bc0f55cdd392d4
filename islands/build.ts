import { build, type Plugin, stop } from "esbuild";
import { ASSETS_FOLDER } from "../lib/assets.ts";

/**
 * Bare imports by the import map of `deno.json`, to files in Deno's own npm cache: so there is no
 * `node_modules` to install first.
 */
const npmByDeno: Plugin = {
  name: "npm-by-deno",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, kind }) => {
      if (kind === "entry-point") return undefined;
      let url = import.meta.resolve(path);
      if (url.startsWith("npm:")) {
        await import(path); // brings it into the cache
        url = import.meta.resolve(path);
      }
      return { path: fileOf(url) };
    });
  },
};

const source = new URL("./", import.meta.url);

try {
  await build({
    absWorkingDir: fileOf(source),
    entryPoints: [
      { in: "./hydrate.tsx", out: "live" },
      { in: "./style.css", out: "style" },
      { in: "./icon.svg", out: "icon" },
    ],
    outdir: fileOf(ASSETS_FOLDER),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".svg": "copy" },
    legalComments: "none",
    logLevel: "warning",
    plugins: [npmByDeno],
  });
} finally {
  await stop();
}

function fileOf(url: URL | string): string {
  return decodeURIComponent(new URL(url).pathname);
}
