/** Packs an npm package in its own folder. Returns the tarball. @throws {Error} if npm is missing. */
export async function packTarball(folder: URL): Promise<URL> {
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: ["pack", "--json", "--ignore-scripts"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [{ filename }] = JSON.parse(new TextDecoder().decode(stdout));
  return new URL(filename, folder);
}
