const ROOT = new URL("../../", import.meta.url);

/** Folders that hold no source of ours: what is generated, installed or stored. */
const SKIPPED = new Set(["dist", "data", "node_modules", ".git"]);

/**
 * Lists the files below `folder` whose names match `pattern`, as paths relative to the repository.
 *
 * @param folder relative to the repository; "" is all of it.
 */
export async function sourceFiles(folder: string, pattern = /\.tsx?$/): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", ROOT))) {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory) {
      if (!SKIPPED.has(name)) files.push(...await sourceFiles(path, pattern));
    } else if (pattern.test(name)) files.push(path);
  }
  return files.sort();
}

/** Reads a file of the repository. */
export async function readSource(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}
