import { type Browser, chromium, type Page } from "playwright-core";

const PROGRAM = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** Tests in a browser are ignored where this is true. */
export const CHROMIUM_MISSING = !isFile(PROGRAM);

if (CHROMIUM_MISSING) {
  const hint =
    `Chromium is not at ${PROGRAM}: get it by \`apt-get install chromium\`, or name it in CHROMIUM`;
  if (Deno.env.get("CI") === "true") throw new Error(hint);
  // deno-lint-ignore no-console
  console.warn(`${hint}; the tests in a browser are ignored.`);
}

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A Chromium with a profile of its own and one page in it. */
export class Chromium implements AsyncDisposable {
  readonly page: Page;
  /** What scripts threw and the console called errors, refusals by the CSP among them. */
  readonly errors: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = this.#listen(page);
  }

  static async open(): Promise<Chromium> {
    const browser = await chromium.launch({ executablePath: PROGRAM, args: FLAGS });
    try {
      // A context of the browser's own takes no second page.
      const context = await browser.newContext();
      return new Chromium(browser, await context.newPage());
    } catch (cause) {
      await browser.close();
      throw cause;
    }
  }

  /** One more tab of the visitor of `page`. */
  async newTab(): Promise<Page> {
    return this.#listen(await this.page.context().newPage());
  }

  /** A page of another visitor: nothing that is kept in the browser is theirs together. */
  async newVisitor(): Promise<Page> {
    return this.#listen(await this.#browser.newPage());
  }

  #listen(page: Page): Page {
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
