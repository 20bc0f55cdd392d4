import { build, type Plugin, stop } from "esbuild";
import { ENTRIES, FRAMEWORKS, pathOf } from "./entries.ts";
import { minifyModule } from "./minify.ts";

const BANNER = "/* Weir, MIT */\n";

/**
 * Decides the chunks of the package: one with every module of the client's first load, one with the
 * other modules of `lazy_chunk.ts`, one with those of the tabs, those of WebRTC, and those of the
 * frameworks.
 *
 * esbuild makes a chunk for each set of entry points that share modules. As every entry point
 * imports the client here, there is only one such set, and one for WebRTC: the part for files
 * imports that entry point.
 */
const oneFirstLoad: Plugin = {
  name: "one-first-load",
  setup({ onLoad }) {
    onLoad(
      {
        filter:
          /\/lib\/client\/(lazy_chunk|tabs\/tabs|rtc\/(rtc|files\/files)|frameworks\/(react|vue|svelte))\.ts$/,
      },
      async ({ path }) => {
        const source = await Deno.readTextFile(path);
        const entry = path.endsWith("/rtc/files/files.ts") ? ENTRIES.rtc : ENTRIES.weir;
        return { contents: `import ${JSON.stringify(pathOf(entry))};\n${source}`, loader: "ts" };
      },
    );
  },
};

/**
 * Properties that only modules of the client use with each other, so that the minified modules may
 * have short names for them. Never list a name of the API, of the platform or of a message: a test
 * compares the list with the declarations.
 */
export const INTERNAL_PROPERTIES = [
  "accepts",
  "anchorResolved",
  "baseMs",
  "canSignal",
  "channels",
  "check",
  "choices",
  "chunkBytes",
  "clientId",
  "connectionEnded",
  "credentials",
  "current",
  "deliver",
  "down",
  "epoch",
  "feed",
  "flush",
  "forChannel",
  "format",
  "hasTurn",
  "heard",
  "heartbeatMs",
  "hello",
  "host",
  "idle",
  "isAccepted",
  "isFailed",
  "isFirst",
  "isGoodbye",
  "isHidden",
  "isIdle",
  "isInFlight",
  "isLeading",
  "isListed",
  "isLive",
  "isNegotiating",
  "isOnline",
  "isPaused",
  "isPolite",
  "isRenewable",
  "isSent",
  "isStarted",
  "isTicket",
  "isTurnRefused",
  "kept",
  "lead",
  "leader",
  "leaderIsAlive",
  "left",
  "link",
  "listener",
  "makeCall",
  "makePresence",
  "markLost",
  "markMissing",
  "markReceived",
  "maxMs",
  "networkChanged",
  "onChange",
  "onClosed",
  "onEnd",
  "onLost",
  "onOpen",
  "onStarted",
  "onWish",
  "openReplacement",
  "openEventStream",
  "openLongPoll",
  "openShortPoll",
  "openWebTransport",
  "platform",
  "progress",
  "publication",
  "readers",
  "readHistory",
  "reading",
  "receive",
  "release",
  "renew",
  "report",
  "resolveAnchors",
  "resolveAnchorsWithRetry",
  "retryLink",
  "retryMs",
  "revision",
  "savedCursor",
  "SavedCursors",
  "sendBatch",
  "sequence",
  "settle",
  "shouldTryNext",
  "socket",
  "start",
  "stop",
  "stopped",
  "streamId",
  "tellMuted",
  "timeoutMs",
  "timers",
  "timing",
  "unlisted",
  "unresolvedAnchors",
  "unsubscribed",
  "update",
  "wake",
  "wanted",
  "wasAway",
  "watch",
  "watchOutages",
  "watchTab",
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
  const entries: [string, URL][] = Object.entries(ENTRIES);
  if (!isMinified) { // pages with a framework are bundled
    for (const [name, { entry }] of Object.entries(FRAMEWORKS)) entries.push([name, entry]);
  }
  const { outputFiles } = await build({
    entryPoints: entries.map(([out, url]) => ({ in: pathOf(url), out })),
    external: Object.keys(FRAMEWORKS).flatMap((name) => [name, `${name}/*`]),
    outdir: pathOf(folder),
    entryNames: `[name]${suffix}`,
    chunkNames: `[name]-[hash]${suffix}`,
    bundle: true,
    splitting: true,
    minify: isMinified,
    // A reference to a map would count in the minified first load.
    sourcemap: isMinified ? false : "external",
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
  const modules = new Map<string, string>();
  const maps = new Map<string, string>();
  for (const { path, text } of outputFiles) {
    const name = path.replace(/^.*\//, "");
    if (name.endsWith(".map")) maps.set(name, text);
    else {
      modules.set(name, isMinified ? await minifyModule(text, { hasPureGetters: true }) : text);
    }
  }
  for (const name of ["weir", "rtc"]) {
    const entry = `${name}${suffix}.js`;
    const chunk = mergeIntoEntry(modules, entry);
    const chunkMap = maps.get(`${chunk}.map`);
    if (chunkMap !== undefined) maps.set(`${entry}.map`, chunkMap);
  }
  for (const [name, code] of modules) {
    const banner = name.includes("-") ? "" : BANNER;
    const map = maps.get(`${name}.map`);
    const link = map === undefined ? "" : `//# sourceMappingURL=${name}.map\n`;
    await Deno.writeTextFile(new URL(name, folder), banner + code + link);
    if (map === undefined) continue;
    const text = finishMap(map, banner === "" ? 0 : 1);
    await Deno.writeTextFile(new URL(`${name}.map`, folder), text);
  }
}

/**
 * Returns a source map with paths in the repository, of a module before which there are
 * `linesBefore` lines more.
 */
function finishMap(text: string, linesBefore: number): string {
  const map = JSON.parse(text);
  const sources = map.sources.map((path: string) =>
    path.replace(/^.*?(?=lib\/client|lib\/shared)/, "")
  );
  return JSON.stringify({ ...map, sources, mappings: ";".repeat(linesBefore) + map.mappings });
}

/**
 * Moves the chunk that an entry re-exports into the entry, so that a page loads one file. Other
 * modules import from it by the names that it uses itself, which makes it smaller. The code stays on
 * its lines, for source maps.
 *
 * @param modules their code by file name.
 * @returns the name of the chunk.
 * @throws {Error} if esbuild's output has another form.
 */
function mergeIntoEntry(modules: Map<string, string>, entry: string): string {
  const [, imports = "", chunk = "", exports = ""] =
    /^import\s*{([^}]*)}\s*from\s*"\.\/([^"]*)";\s*(?:import\s*"[^"]*";\s*)*export\s*{([^}]*)};?\s*$/
      .exec(modules.get(entry) ?? "") ?? [];
  const [clause, chunkExports = ""] = /export\s*{([^}]*)};?\s*$/.exec(modules.get(chunk) ?? "") ??
    [];
  if (clause === undefined) throw new Error(`${entry} has another form`);
  const localOf = new Map(parseNames(chunkExports).map(({ from, to }) => [to, from]));
  const importOf = new Map(parseNames(imports).map(({ from, to }) => [to, from]));
  const exported = new Set<string>();
  for (const { from, to } of parseNames(exports)) {
    exported.add(formatName(localOf.get(importOf.get(from) ?? "") ?? from, to));
  }
  const code = (modules.get(chunk) ?? "").slice(0, -clause.length);
  modules.delete(chunk);
  modules.delete(entry);
  const ofChunk = new RegExp(`import\\s*{([^}]*)}\\s*from\\s*"\\./${chunk}"`, "g");
  for (const [name, text] of modules) {
    const renamed = text.replaceAll(ofChunk, (clause, names: string) => {
      const list = parseNames(names).map(({ from, to }) => {
        const local = localOf.get(from) ?? from;
        exported.add(local);
        return formatName(local, to);
      });
      return `import{${list}}from"./${entry}"${clause.replaceAll(/[^\n]/g, "")}`;
    });
    modules.set(name, renamed.replaceAll(`"./${chunk}"`, `"./${entry}"`));
  }
  modules.set(entry, `${code}export{${[...exported].sort()}};\n`);
  return chunk;
}

function formatName(from: string, to: string): string {
  return from === to ? from : `${from} as ${to}`;
}

/** Parses the names of an import or export clause: `a, b as c`. */
function parseNames(clause: string): readonly { readonly from: string; readonly to: string }[] {
  return clause.split(",").map((name) => name.trim()).filter((name) => name !== "").map((name) => {
    const [from = "", to = from] = name.split(/\s+as\s+/);
    return { from, to };
  });
}
