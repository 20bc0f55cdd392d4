import ts from "typescript";
import {
  ENTRIES,
  FRAMEWORKS,
  OTEL_ENTRY,
  OTEL_PACKAGE,
  pathOf,
  PRODUCER_ENTRY,
  ROOT,
  SERVER_ENTRY,
  SIGNING_PACKAGE,
} from "./entries.ts";

/** The folder that the declarations' paths are relative to. */
const SOURCE = pathOf(new URL("lib/", ROOT));

/**
 * Emits the declarations of the package's entry points and of the modules that they name, by their
 * path below `lib/`.
 *
 * @throws {Error} if the types are wrong.
 */
export function emitDeclarations(): ReadonlyMap<string, string> {
  const frameworks = Object.values(FRAMEWORKS).map(({ entry }) => pathOf(entry));
  const entries = [
    ...[...Object.values(ENTRIES), SERVER_ENTRY, PRODUCER_ENTRY, OTEL_ENTRY].map(pathOf),
    ...frameworks,
  ];
  const program = ts.createProgram(entries, {
    allowImportingTsExtensions: true,
    declaration: true,
    emitDeclarationOnly: true,
    exactOptionalPropertyTypes: true,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noUncheckedIndexedAccess: true,
    // TypeScript does not look for packages in Deno's cache.
    paths: {
      [SIGNING_PACKAGE.name]: [fileOf(SIGNING_PACKAGE.name, "types/index.d.ts")],
      [OTEL_PACKAGE.name]: [fileOf(OTEL_PACKAGE.name, "index.d.mts")],
    },
    skipLibCheck: true,
    strict: true,
    stripInternal: true,
    target: ts.ScriptTarget.ESNext,
    types: [],
  });
  // TypeScript finds no framework in Deno's cache; `deno check` does.
  const faults = ts.getPreEmitDiagnostics(program).filter(({ file }) =>
    !frameworks.includes(file?.fileName ?? "")
  );
  if (faults.length > 0) throw new Error(ts.formatDiagnostics(faults, host));
  const emitted = new Map<string, string>();
  program.emit(undefined, (path, text) => emitted.set(path.slice(SOURCE.length), text));
  return withImports(entries.map(declarationPath), emitted);
}

/** Returns the path of a file in the folder `dist` of a package. */
function fileOf(name: string, path: string): string {
  const [folder = ""] = import.meta.resolve(name).split("/dist/");
  return new URL(`${folder}/dist/${path}`).pathname;
}

/** Path of the declarations of a source file. */
function declarationPath(path: string): string {
  return path.slice(SOURCE.length).replace(/\.ts$/, ".d.ts");
}

/** The declarations at `paths` and at all paths that these import, with imports of `.js` files. */
function withImports(
  paths: readonly string[],
  emitted: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const add = (path: string) => {
    const text = emitted.get(path);
    if (text === undefined || found.has(path)) return;
    found.set(path, text.replaceAll(/("\.[./\w]+)\.ts"/g, '$1.js"'));
    for (const [, specifier = ""] of text.matchAll(/"(\.[./\w]+\.ts)"/g)) {
      const { pathname } = new URL(specifier, `file://${SOURCE}${path}`);
      add(declarationPath(pathname));
    }
  };
  for (const path of paths) add(path);
  for (const path of paths) {
    // For `using` and `await using`, whose types some targets lack.
    found.set(path, `/// <reference lib="esnext.disposable" />\n${found.get(path)}`);
  }
  return found;
}

const host: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => pathOf(ROOT),
  getNewLine: () => "\n",
};
