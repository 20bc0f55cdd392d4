import { build, type Plugin, stop } from "esbuild";
import { npmByDeno } from "../../islands/build.ts";
import { pathOf, ROOT } from "../entries.ts";

/** The programs, by their name in the package: what Deno runs, and the command, which Node runs. */
const PROGRAMS = {
  main: new URL("main.ts", ROOT),
  keys: new URL("keys.ts", ROOT),
  publish: new URL("publish.ts", ROOT),
  store: new URL("store.ts", ROOT),
  bin: new URL("bin.ts", import.meta.url),
} as const;

/** Messages name the package's commands, in place of the tasks. */
const packageCommands: Plugin = {
  name: "package-commands",
  setup({ onLoad }) {
    onLoad({ filter: /\/lib\/shared\/task_command\.ts$/ }, () => ({
      contents: `export const TASK_COMMAND = "npx weir-server";
export const START_COMMAND = "npx weir-server";
export const ARE_SETTINGS_OPTIONS = true;`,
    }));
  },
};

/**
 * Writes the programs of the package `weir-server` into `folder`, with everything that they import.
 *
 * @returns the files that the bundle has parts of.
 */
export async function bundlePrograms(folder: URL): Promise<readonly string[]> {
  try {
    const { metafile } = await build({
      absWorkingDir: "/",
      entryPoints: Object.entries(PROGRAMS).map(([out, url]) => ({ in: pathOf(url), out })),
      outdir: pathOf(folder),
      bundle: true,
      splitting: true,
      metafile: true,
      format: "esm",
      target: "esnext",
      jsx: "automatic",
      jsxImportSource: "preact",
      legalComments: "none",
      logLevel: "warning",
      // Modules that only have types.
      logOverride: { "ignored-bare-import": "silent" },
      // Packages in CommonJS call require() for parts of Node.
      banner: {
        js: `import { createRequire as createRequireOfNode } from "node:module";
const require = createRequireOfNode(import.meta.url);`,
      },
      plugins: [packageCommands, npmByDeno],
    });
    return Object.keys(metafile.inputs).map((path) => `/${path}`);
  } finally {
    await stop();
  }
}
