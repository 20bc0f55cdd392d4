import { build, type Plugin, stop } from "esbuild";

/** Resolves bare imports to files in Deno's npm cache. */
const npmByDeno: Plugin = {
  name: "npm-by-deno",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path }) => {
      if (import.meta.resolve(path).startsWith("npm:")) await import(path); // fills the cache
      return { path: decodeURIComponent(new URL(import.meta.resolve(path)).pathname) };
    });
  },
};

/** Bundles an app's module with its npm packages. Relative imports are relative to `folder`. */
export async function bundleApp(source: string, folder: URL): Promise<string> {
  try {
    const { outputFiles: [file] } = await build({
      stdin: {
        contents: source,
        resolveDir: decodeURIComponent(folder.pathname),
        loader: "tsx",
      },
      bundle: true,
      write: false,
      format: "esm",
      jsx: "automatic",
      define: { "process.env.NODE_ENV": `"development"` },
      plugins: [npmByDeno],
    });
    if (file === undefined) throw new Error("esbuild wrote no file");
    return file.text;
  } finally {
    await stop();
  }
}

export type Site = AsyncDisposable & { readonly url: string };

/** Serves a page with the element `#app` and this script. */
export function serveApp(script: string): Site {
  const page = `<!doctype html><link rel="icon" href="data:,"><div id="app"></div>
    <script type="module" src="/app.js"></script>`;
  return serveSite(({ url }) => {
    const isScript = new URL(url).pathname === "/app.js";
    const type = isScript ? "text/javascript" : "text/html";
    return new Response(isScript ? script : page, { headers: { "Content-Type": type } });
  });
}

/** Serves a site on a port of its own, which is an origin of its own. */
export function serveSite(handler: (request: Request) => Response | Promise<Response>): Site {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  const url = `http://127.0.0.1:${server.addr.port}`;
  return { url, [Symbol.asyncDispose]: () => server.shutdown() };
}
