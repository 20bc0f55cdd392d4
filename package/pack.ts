import { build, stop } from "esbuild";
import ts from "typescript";
import { shrunk } from "./shrunk.ts";

const ROOT = new URL("../", import.meta.url);
/** Of lib/client; the first is called weir.js. */
const ENTRIES = ["client", "tabs"];
const NAME = "weir-client";

/**
 * Makes the npm package of the client in `folder`, which is emptied first: the modules, readable and
 * minified, their types, and the tarball of all that.
 *
 * @returns where the tarball is.
 * @throws {Error} where types are wrong, or there is no npm.
 */
export async function packClient(folder: URL): Promise<URL> {
  await Deno.remove(folder, { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  });
  await Deno.mkdir(new URL("types/", folder), { recursive: true });
  try {
    await bundle(folder, false);
    await bundle(folder, true);
  } finally {
    await stop();
  }
  for (const [name, text] of declarations()) {
    await Deno.writeTextFile(new URL(`types/${name}`, folder), text);
  }
  const manifest = JSON.stringify(await manifestOf(), null, 2);
  await Deno.writeTextFile(new URL("package.json", folder), `${manifest}\n`);
  await Deno.copyFile(new URL("README.md", import.meta.url), new URL("README.md", folder));
  await Deno.copyFile(new URL("LICENSE", ROOT), new URL("LICENSE", folder));
  return await tarball(folder);
}

/** The entries, with what they share and what is loaded later as files beside them. */
async function bundle(folder: URL, isMinified: boolean): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: ENTRIES.map((name) => pathOf(new URL(`lib/client/${name}.ts`, ROOT))),
    outdir: pathOf(folder),
    entryNames: isMinified ? "[name].min" : "[name]",
    chunkNames: isMinified ? "[name]-[hash].min" : "[name]-[hash]",
    bundle: true,
    splitting: true,
    minify: isMinified,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
    write: false,
  });
  for (const { path, text } of outputFiles) {
    const code = isMinified ? await shrunk(text, { hasPureGetters: true }) : text;
    const name = path.replace(/^.*\//, "").replace(/^client\b/, "weir");
    const isEntry = !name.includes("-");
    const banner = isEntry ? `/* ${NAME}, MIT */\n` : "";
    await Deno.writeTextFile(new URL(name, folder), banner + code);
  }
}

async function manifestOf(): Promise<Readonly<Record<string, unknown>>> {
  const { version, license } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const types = "./types/client.d.ts";
  return {
    name: NAME,
    version,
    description: "Client of Weir: durable channels over WebSocket, SSE and polling, exactly once.",
    license,
    type: "module",
    sideEffects: false,
    main: "./weir.js",
    types,
    exports: {
      ".": { types, default: "./weir.js" },
      "./tabs": { types: "./types/tabs.d.ts", default: "./tabs.js" },
      "./weir.min.js": { types, default: "./weir.min.js" },
      "./tabs.min.js": { types: "./types/tabs.d.ts", default: "./tabs.min.js" },
    },
    files: ["*.js", "types"],
    engines: { node: ">=20" },
  };
}

/** The declarations of the entries and of what they name, by file. */
function declarations(): ReadonlyMap<string, string> {
  const entries = ENTRIES.map((name) => pathOf(new URL(`lib/client/${name}.ts`, ROOT)));
  const program = ts.createProgram(entries, {
    allowImportingTsExtensions: true,
    declaration: true,
    emitDeclarationOnly: true,
    exactOptionalPropertyTypes: true,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noUncheckedIndexedAccess: true,
    strict: true,
    target: ts.ScriptTarget.ESNext,
    types: [],
  });
  const faults = ts.getPreEmitDiagnostics(program);
  if (faults.length > 0) throw new Error(ts.formatDiagnostics(faults, host));
  const emitted = new Map<string, string>();
  program.emit(undefined, (path, text) => emitted.set(path.replace(/^.*\//, ""), text));
  const named = new Map<string, string>();
  const name = (file: string) => {
    const text = emitted.get(file);
    if (text === undefined || named.has(file)) return;
    named.set(file, text.replaceAll(/("\.\/\w+)\.ts"/g, '$1.js"'));
    for (const [, next] of text.matchAll(/"\.\/(\w+)\.ts"/g)) name(`${next}.d.ts`);
  };
  for (const entry of ENTRIES) name(`${entry}.d.ts`);
  // `using` and `await using`: not every project's target brings their types.
  const libs = '/// <reference lib="esnext.disposable" />\n';
  return named.set("client.d.ts", `${libs}${named.get("client.d.ts")}`);
}

const host: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => pathOf(ROOT),
  getNewLine: () => "\n",
};

async function tarball(folder: URL): Promise<URL> {
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: ["pack", "--json", "--ignore-scripts"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [{ filename }] = JSON.parse(new TextDecoder().decode(stdout));
  return new URL(filename, folder);
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname);
}
