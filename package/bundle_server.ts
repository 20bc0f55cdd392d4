import { build, type Plugin, stop } from "esbuild";
import { pathOf, SERVER_ENTRY, SIGNING_PACKAGE } from "./entries.ts";

/** Takes the error's class from the client's module, so that `instanceof` holds for both. */
const sharedError: Plugin = {
  name: "shared-error",
  setup({ onResolve }) {
    onResolve({ filter: /\/weir_error\.ts$/ }, () => ({ path: "./weir.js", external: true }));
  },
};

/** Writes `server.js`, the module for backends, into `folder`. Backends need no minified one. */
export async function bundleServer(folder: URL): Promise<void> {
  try {
    await build({
      entryPoints: [{ in: pathOf(SERVER_ENTRY), out: "server" }],
      outdir: pathOf(folder),
      bundle: true,
      external: [SIGNING_PACKAGE.name],
      format: "esm",
      target: "es2022",
      legalComments: "none",
      logLevel: "warning",
      banner: { js: "/* weir-client, MIT */" },
      plugins: [sharedError],
    });
  } finally {
    await stop();
  }
}
