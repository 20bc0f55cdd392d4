import { build, type BuildOptions, stop } from "esbuild";
import { npmByDeno } from "../../islands/build.ts";

const CLIENT = new URL("../../lib/client/client.ts", import.meta.url).pathname;

/** Bundles the client library into one ECMAScript module, for Node and browsers. */
export async function bundleClient(): Promise<string> {
  return await bundle({ entryPoints: [CLIENT] });
}

/** Bundles a module of the repository, for a page. */
export async function bundleModule(url: URL): Promise<string> {
  return await bundle({ entryPoints: [url.pathname] });
}

/** Bundles the source of a page's module with the npm packages that it imports. */
export async function bundlePage(source: string): Promise<string> {
  return await bundle({ stdin: { contents: source }, plugins: [npmByDeno] });
}

/** Bundles a page's module, with modules that it loads later. */
export async function bundleFile(path: URL): Promise<string> {
  return await bundle({ entryPoints: [path.pathname] });
}

async function bundle(options: BuildOptions): Promise<string> {
  try {
    const { outputFiles: [bundle] = [] } = await build({
      ...options,
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
