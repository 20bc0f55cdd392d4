// `deno task build`. Imports the bundler only when there is something to build: loading it takes
// longer than the check.
import { ASSETS_FOLDER } from "../lib/assets.ts";

const ROOT = new URL("../", import.meta.url);

/** Everything that the bundles depend on. The lock file stands in for packages. */
const INPUTS = [
  "deno.json",
  "deno.lock",
  "docs",
  "islands",
  "lib/assets.ts",
  "lib/client",
  "lib/pages.ts",
  "lib/shared",
  "package/minify.ts",
];

interface BuildOptions {
  /** Files and folders that the build reads. */
  readonly inputs: readonly URL[];
  /** The folder that the build fills. It ends with a slash. */
  readonly folder: URL;
  readonly build: () => Promise<void>;
}

/**
 * Builds unless `folder` already holds what a build of these inputs has written there.
 *
 * A stamp in the folder lists the hashes of all inputs and outputs. It is removed before a build and
 * written after it, so an interrupted build is never taken for a complete one.
 */
export async function buildIfChanged({ inputs, folder, build }: BuildOptions): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const stamp = new URL(".stamp", folder);
  const built = await Deno.readTextFile(stamp).catch(() => undefined);
  // Read before the build: a source that changes during it leads to another build next time.
  const sources = await hashesOf(inputs);
  if (built !== undefined && built === sources + await outputHashes(folder)) return;
  if (built !== undefined) await Deno.remove(stamp);
  await build();
  // Renamed into place, so that the stamp is complete or absent.
  const draft = new URL(`.stamp.${Deno.pid}`, folder);
  await Deno.writeTextFile(draft, sources + await outputHashes(folder));
  await Deno.rename(draft, stamp);
}

/** Tells whether a change of `path`, relative to the repository, leads to a new build. */
export function isInput(path: string): boolean {
  return INPUTS.some((input) => path === input || path.startsWith(`${input}/`));
}

/** Hashes the files of the folder itself; dist/package/ is not made by this build. */
async function outputHashes(folder: URL): Promise<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const outputs = entries.filter(({ name, isFile }) => isFile && !name.startsWith("."));
  return await hashesOf(outputs.map(({ name }) => new URL(name, folder)));
}

/** Lists the files at and below `urls`, sorted, with one line each: the SHA-256 and the path. */
async function hashesOf(urls: readonly URL[]): Promise<string> {
  const files = (await Promise.all(urls.map(filesBelow))).flat();
  const lines = files.map(async (file) => {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(file));
    return { path: file.pathname, line: `${new Uint8Array(digest).toHex()} ${file.pathname}\n` };
  });
  const sorted = (await Promise.all(lines)).sort((a, b) => a.path < b.path ? -1 : 1);
  return sorted.map(({ line }) => line).join("");
}

async function filesBelow(url: URL): Promise<readonly URL[]> {
  if (!(await Deno.stat(url)).isDirectory) return [url];
  const entries = await Array.fromAsync(Deno.readDir(url));
  const files = entries.map(({ name }) =>
    filesBelow(new URL(`${url}/${encodeURIComponent(name)}`))
  );
  return (await Promise.all(files)).flat();
}

if (import.meta.main) {
  await buildIfChanged({
    inputs: INPUTS.map((path) => new URL(path, ROOT)),
    folder: ASSETS_FOLDER,
    build: async () => {
      const { buildDocs, buildIslands } = await import("./build.ts");
      await Promise.all([buildIslands(), buildDocs(ASSETS_FOLDER)]);
    },
  });
}
