import { build, type Plugin, stop } from "esbuild";
import { ENTRIES, pathOf } from "./entries.ts";
import { minifyModule } from "./minify.ts";

const BANNER = "/* weir-client, MIT */\n";

/**
 * Decides the chunks of the package: one with every module of the client's first load, one with the
 * modules of `lazy_chunk.ts` that are not in it, and one for tabs.
 *
 * esbuild makes a chunk for each set of entry points that share modules. As every entry point
 * imports the client here, there is only one such set.
 */
const oneFirstLoad: Plugin = {
  name: "one-first-load",
  setup({ onLoad }) {
    onLoad({ filter: /\/lib\/client\/(lazy_chunk|tabs\/tabs)\.ts$/ }, async ({ path }) => {
      const source = await Deno.readTextFile(path);
      const client = JSON.stringify(pathOf(ENTRIES.weir));
      return { contents: `import ${client};\n${source}`, loader: "ts" };
    });
  },
};

/**
 * Properties that only modules of the client use with each other, so that the minified modules may
 * have short names for them. Never list a name of the API, of the platform or of a message: a test
 * compares the list with the declarations.
 */
export const INTERNAL_PROPERTIES = [
  "candidates",
  "channels",
  "check",
  "clientId",
  "connectionEnded",
  "credentials",
  "flush",
  "forChannel",
  "format",
  "heard",
  "heartbeatMs",
  "isAccepted",
  "isGoodbye",
  "isInFlight",
  "isLive",
  "isPaused",
  "isRenewable",
  "isStarted",
  "isTicket",
  "kept",
  "listener",
  "makeCall",
  "makePresence",
  "onOpen",
  "openBetterTransport",
  "openEventStream",
  "openLongPoll",
  "openShortPoll",
  "platform",
  "progress",
  "publication",
  "readers",
  "readHistory",
  "reading",
  "release",
  "renew",
  "report",
  "resolveStarts",
  "resolveStartsWithRetry",
  "savedCursor",
  "SavedCursors",
  "sendBatch",
  "shouldTryNext",
  "socket",
  "startResolved",
  "stopped",
  "timeoutMs",
  "timing",
  "unresolvedStarts",
  "unsubscribed",
  "update",
  "wake",
  "wanted",
  "wasAway",
];

/** Writes the readable and the minified modules of the package into `folder`. */
export async function bundleClient(folder: URL): Promise<void> {
  try {
    await bundle(folder, false);
    await bundle(folder, true);
  } finally {
    await stop();
  }
}

async function bundle(folder: URL, isMinified: boolean): Promise<void> {
  const suffix = isMinified ? ".min" : "";
  const { outputFiles } = await build({
    entryPoints: Object.entries(ENTRIES).map(([out, url]) => ({ in: pathOf(url), out })),
    outdir: pathOf(folder),
    entryNames: `[name]${suffix}`,
    chunkNames: `[name]-[hash]${suffix}`,
    bundle: true,
    splitting: true,
    minify: isMinified,
    ...isMinified && { mangleProps: new RegExp(`^(${INTERNAL_PROPERTIES.join("|")})$`) },
    format: "esm",
    target: "es2022",
    // Fields without a value need no code.
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    legalComments: "none",
    logLevel: "warning",
    plugins: [oneFirstLoad],
    write: false,
  });
  const entries = Object.keys(ENTRIES).map((name) => `${name}${suffix}.js`);
  for (const { path, text } of outputFiles) {
    const code = isMinified ? await minifyModule(text, { hasPureGetters: true }) : text;
    const name = path.replace(/^.*\//, "");
    await Deno.writeTextFile(
      new URL(name, folder),
      entries.includes(name) ? BANNER + code : code,
    );
  }
}
