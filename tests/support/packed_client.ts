import { packClient } from "../../package/pack.ts";

let packing: Promise<URL> | undefined;

/** Returns the tarball of the npm package, which is made once for all tests of a file. */
export function packedClient(): Promise<URL> {
  return packing ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "weir_packed_" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    return await packClient(new URL(`file://${folder}/package/`));
  })();
}
