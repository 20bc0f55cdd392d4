import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bundlePage } from "../support/client_bundle.ts";
import { readSource } from "../support/source_files.ts";
import { checkClients } from "./check_clients.ts";
import { type ClientProgram, startProgram } from "./client_program.ts";
import { librariesOf, type Library } from "./libraries.ts";

const HERE = new URL(".", import.meta.url).pathname;

Deno.test("clients outside of browsers receive each event once", async (t) => {
  await checkClients(t, librariesOf("deno"), ({ program }, url) => {
    return startProgram([Deno.execPath(), "run", "-A", `${HERE}${program}`, url]);
  });
});

Deno.test("clients in Chromium receive each event once", {
  ignore: CHROMIUM_MISSING,
}, async (t) => {
  await using chromium = await Chromium.open();
  await using site = await openSite(librariesOf("browsers"));
  await checkClients(
    t,
    librariesOf("browsers"),
    async ({ program }, url): Promise<ClientProgram> => {
      const page = await chromium.newVisitor();
      const lines: string[] = [];
      const errors: string[] = [];
      page.on("console", (message) => {
        (message.type() === "log" ? lines : errors).push(message.text());
      });
      page.on("pageerror", (error) => errors.push(String(error)));
      await page.goto(`${site.url}/${program}?url=${encodeURIComponent(url)}`);
      return {
        lines,
        errors: () => errors.join("\n"),
        [Symbol.asyncDispose]: () => page.close(),
      };
    },
  );
});

/** Serves a page for each program, bundled with its library. */
async function openSite(
  libraries: readonly Library[],
): Promise<AsyncDisposable & { readonly url: string }> {
  const pages = new Map<string, string>();
  for (const { program } of libraries) {
    const script = await bundlePage(await readSource(`tests/clients/${program}`));
    pages.set(`/${program}`, `<!doctype html><script type="module">${script}</script>`);
  }
  const site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const html = pages.get(new URL(url).pathname);
    const headers = { "Content-Type": "text/html" };
    return new Response(html ?? "", { status: html === undefined ? 404 : 200, headers });
  });
  return {
    url: `http://127.0.0.1:${site.addr.port}`,
    [Symbol.asyncDispose]: () => site.shutdown(),
  };
}
