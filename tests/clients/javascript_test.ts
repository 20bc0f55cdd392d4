import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bundlePage } from "../support/client_bundle.ts";
import { Firefox, FIREFOX_MISSING } from "../support/firefox.ts";
import { readSource } from "../support/source_files.ts";
import { checkClients } from "./check_clients.ts";
import { type ClientProgram, startProgram } from "../support/line_program.ts";
import { librariesOf, type Library } from "./libraries.ts";

const HERE = new URL(".", import.meta.url).pathname;

Deno.test("clients outside of browsers receive each event once", async (t) => {
  await checkClients(t, librariesOf("deno"), ({ program }, url) => {
    return startProgram([Deno.execPath(), "run", "-A", `${HERE}${program}`, url]);
  });
});

/** What a page's console shows. */
class PageConsole {
  readonly lines: string[] = [];
  readonly #errors: string[] = [];

  add(isLine: boolean, text: string): void {
    (isLine ? this.lines : this.#errors).push(text);
  }

  errors(): string {
    return this.#errors.join("\n");
  }
}

Deno.test("clients in Chromium receive each event once", {
  ignore: CHROMIUM_MISSING,
}, async (t) => {
  await using chromium = await Chromium.open();
  await using site = await openSite(librariesOf("browsers"));
  await checkClients(t, librariesOf("browsers"), async (library, url): Promise<ClientProgram> => {
    const page = await chromium.newVisitor();
    const shown = new PageConsole();
    page.on("console", (message) => shown.add(message.type() === "log", message.text()));
    page.on("pageerror", (error) => shown.add(false, String(error)));
    await page.goto(site.urlOf(library, url));
    return Object.assign(shown, { [Symbol.asyncDispose]: () => page.close() });
  });
});

Deno.test("clients in Firefox receive each event once", {
  ignore: FIREFOX_MISSING,
}, async (t) => {
  await using firefox = await Firefox.open();
  await using site = await openSite(librariesOf("browsers"));
  await checkClients(t, librariesOf("browsers"), async (library, url): Promise<ClientProgram> => {
    const shown = new PageConsole();
    await firefox.openPage(site.urlOf(library, url), ({ type, level, text }) => {
      shown.add(type === "console" && level === "info", text);
    });
    return Object.assign(shown, { [Symbol.asyncDispose]: () => Promise.resolve() });
  });
});

interface Site extends AsyncDisposable {
  /** Returns the page of a library's program, which gets `url`. */
  urlOf(library: Library, url: string): string;
}

/** Serves a page for each program, bundled with its library. */
async function openSite(libraries: readonly Library[]): Promise<Site> {
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
    urlOf: ({ program }, url) =>
      `http://127.0.0.1:${site.addr.port}/${program}?url=${encodeURIComponent(url)}`,
    [Symbol.asyncDispose]: () => site.shutdown(),
  };
}
