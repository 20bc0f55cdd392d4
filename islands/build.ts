import { build, type Plugin, stop } from "esbuild";
import { ASSETS_FOLDER } from "../lib/assets.ts";
import { shrunk } from "../package/shrunk.ts";

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
        // Brings it into the cache; a package's style comes with its script.
        await import(path.replace(/\/dist\/.+\.css$/, ""));
        url = import.meta.resolve(path);
      }
      return { path: fileOf(url) };
    });
  },
};

/** Leaves out of uPlot what no chart here is drawn by: an eighth of it. */
const leanUplot: Plugin = {
  name: "lean-uplot",
  setup({ onLoad }) {
    onLoad({ filter: /uPlot\.cjs\.js$/ }, async ({ path }) => {
      const whole = await Deno.readTextFile(path.replace(/cjs\.js$/, "esm.js"));
      const unused = /\(paths\.(?:bars|spline|stepped)\s*=\s*\w+\);|uPlot\.join = join;/g;
      return { contents: whole.replaceAll(unused, "") };
    });
  },
};

const source = new URL("./", import.meta.url);

try {
  const { outputFiles } = await build({
    absWorkingDir: fileOf(source),
    entryPoints: [
      { in: "./console/entry.tsx", out: "console" },
      { in: "./chat/entry.tsx", out: "chat" },
      { in: "./dashboard/entry.tsx", out: "dashboard" },
      { in: "./lab/entry.tsx", out: "lab" },
      { in: "./style/style.css", out: "style" },
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
    plugins: [npmByDeno, leanUplot],
    write: false,
  });
  await Deno.mkdir(ASSETS_FOLDER, { recursive: true });
  for (const { path, contents, text } of outputFiles) {
    const isScript = path.endsWith(".js");
    await Deno.writeFile(path, isScript ? new TextEncoder().encode(await shrunk(text)) : contents);
  }
} finally {
  await stop();
}

function fileOf(url: URL | string): string {
  return decodeURIComponent(new URL(url).pathname);
}
