import { build, stop } from "esbuild";

const CLIENT = new URL("../../lib/client/client.ts", import.meta.url).pathname;

/** Bundles the client library into one ECMAScript module, for Node and browsers. */
export async function bundleClient(): Promise<string> {
  try {
    const { outputFiles: [bundle] } = await build({
      entryPoints: [CLIENT],
      bundle: true,
      format: "esm",
      target: "es2022",
      write: false,
    });
    if (bundle === undefined) throw new Error("esbuild wrote no file");
    return bundle.text;
  } finally {
    await stop();
  }
}
