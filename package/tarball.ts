import { ROOT } from "./entries.ts";

/** Makes `folder` empty. */
export async function emptyFolder(folder: URL): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  });
  await Deno.mkdir(folder, { recursive: true });
}

interface PackageTexts {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly readme: URL;
}

/**
 * Adds the manifest, the README and the license to the npm package in `folder`, and packs it. Returns
 * the tarball.
 *
 * @throws {Error} if npm is missing.
 */
export async function packTarball(
  folder: URL,
  { manifest, readme }: PackageTexts,
): Promise<URL> {
  const json = `${JSON.stringify(manifest, null, 2)}\n`;
  await Deno.writeTextFile(new URL("package.json", folder), json);
  await Deno.copyFile(readme, new URL("README.md", folder));
  await Deno.copyFile(new URL("LICENSE", ROOT), new URL("LICENSE", folder));
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: ["pack", "--json", "--ignore-scripts"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [{ filename }] = JSON.parse(new TextDecoder().decode(stdout));
  return new URL(filename, folder);
}
