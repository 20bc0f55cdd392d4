import { ASSETS_FOLDER } from "../../lib/assets.ts";
import { VERSION } from "../../lib/version.ts";
import { ROOT } from "../entries.ts";
import { emptyFolder, packTarball } from "../tarball.ts";
import { bundlePrograms } from "./bundle.ts";

/** Packages in the scripts of the pages, which `deno task build` has bundled. */
const PAGE_PACKAGES = ["@preact/signals", "preact", "uplot"];

/**
 * Makes the npm package of the server in `folder`, which is emptied first: its programs, bundled with
 * all packages that they need, and the built pages. Deno is its only dependency.
 *
 * @returns the tarball.
 * @throws {Error} if the pages are not built or npm is missing.
 */
export async function packServer(folder: URL): Promise<URL> {
  await emptyFolder(folder);
  const assets = new URL("dist/", folder);
  await Deno.mkdir(assets, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(ASSETS_FOLDER)) {
    if (isFile && !name.startsWith(".")) {
      await Deno.copyFile(new URL(name, ASSETS_FOLDER), new URL(name, assets));
    }
  }
  const inputs = await bundlePrograms(new URL("lib/", folder));
  await Deno.writeTextFile(new URL("THIRD_PARTY_LICENSES", folder), await licensesOf(inputs));
  const bin = new URL("bin.js", folder);
  await Deno.writeTextFile(bin, `#!/usr/bin/env node\nimport "./lib/bin.js";\n`, { mode: 0o755 });
  const readme = new URL("README.md", import.meta.url);
  return await packTarball(folder, { manifest: await makeManifest(), readme });
}

async function makeManifest(): Promise<Readonly<Record<string, unknown>>> {
  const { license } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  return {
    name: "weir-server",
    version: VERSION,
    description: "Weir, a realtime backend with a durable log per channel: one command runs it.",
    license,
    type: "module",
    bin: { "weir-server": "bin.js" },
    files: ["bin.js", "lib", "dist", "THIRD_PARTY_LICENSES"],
    // Exactly the version that the tests run.
    dependencies: { deno: "2.9.6" },
    engines: { node: ">=20" },
  };
}

/** Returns the licenses of all packages that `inputs` and the pages' scripts are from. */
async function licensesOf(inputs: readonly string[]): Promise<string> {
  const folders = new Map<string, string>();
  for (const path of [...inputs, ...PAGE_PACKAGES.map((name) => import.meta.resolve(name))]) {
    // Deno's cache has packages at `…/npm/<registry>/<name>/<version>/`.
    const match = /^(?:file:\/\/)?(\/.*\/npm\/[^/]+\/((?:@[^/]+\/)?[^/@]+)\/([^/]+))\//.exec(path);
    if (match !== null) folders.set(`${match[2]} ${match[3]}`, match[1] ?? "");
  }
  const texts = [...folders].sort().map(async ([name, folder]) => {
    const files = await Array.fromAsync(Deno.readDir(folder));
    const file = files.find(({ name }) => /^licen[cs]e/i.test(name));
    if (file === undefined) throw new Error(`${name} has no license in ${folder}`);
    return `${name}\n\n${await Deno.readTextFile(`${folder}/${file.name}`)}`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}
