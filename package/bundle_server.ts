import { build, type Plugin, stop } from "esbuild";
import {
  OTEL_ENTRY,
  OTEL_PACKAGE,
  pathOf,
  PRODUCER_ENTRY,
  SERVER_ENTRY,
  SIGNING_PACKAGE,
} from "./entries.ts";

/** Modules that are in the package once, so that `instanceof` holds for all its entry points. */
const sharedModules: Plugin = {
  name: "shared-modules",
  setup({ onResolve }) {
    onResolve({ filter: /\/weir_error\.ts$/ }, () => ({ path: "./weir.js", external: true }));
    onResolve(
      { filter: /\/producer\.ts$/ },
      ({ kind }) => kind === "entry-point" ? undefined : { path: "./producer.js", external: true },
    );
  },
};

/**
 * Writes `server.js`, the module for backends, `producer.js` and `otel.js` into `folder`. They have
 * no minified forms.
 */
export async function bundleServer(folder: URL): Promise<void> {
  try {
    await build({
      entryPoints: [
        { in: pathOf(SERVER_ENTRY), out: "server" },
        { in: pathOf(PRODUCER_ENTRY), out: "producer" },
        { in: pathOf(OTEL_ENTRY), out: "otel" },
      ],
      outdir: pathOf(folder),
      bundle: true,
      external: [SIGNING_PACKAGE.name, OTEL_PACKAGE.name],
      format: "esm",
      target: "es2022",
      legalComments: "none",
      logLevel: "warning",
      banner: { js: "/* weir-client, MIT */" },
      plugins: [sharedModules],
    });
  } finally {
    await stop();
  }
}
