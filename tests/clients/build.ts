/** Where the programs in compiled languages are built; `.ci/run` builds them there in advance. */
export const BUILT = new URL("../../dist/clients/", import.meta.url).pathname;

/** Runs a build, which fetches pinned packages that are not in its cache. @throws {Error} */
export async function build(
  program: string,
  { args, folder }: { readonly args: readonly string[]; readonly folder: string },
): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: new URL(folder, import.meta.url),
    stdin: "null",
  }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(`${program} failed:\n${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}
