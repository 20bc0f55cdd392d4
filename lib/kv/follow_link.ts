import { dirname, resolve } from "node:path";

/**
 * Returns the path of the file that a symbolic link leads to, even if there is no such file yet.
 * Any other path is returned as it is.
 */
export async function followLink(path: string): Promise<string> {
  const link = await Deno.readLink(path).catch(() => undefined); // nothing is there, or another file
  if (link === undefined) return path;
  try {
    return await Deno.realPath(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  return await followLink(resolve(await Deno.realPath(dirname(path)), link));
}
