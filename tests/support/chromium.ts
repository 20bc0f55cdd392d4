import { type Browser, chromium, type Page } from "playwright-core";

/** The path of the browser's program. */
export const PROGRAM = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** Tests that need a browser are ignored where this is true. */
export const CHROMIUM_MISSING = !isFile(PROGRAM);

if (CHROMIUM_MISSING) {
  const hint =
    `Chromium is not at ${PROGRAM}: run \`apt-get install chromium\`, or set CHROMIUM to its path`;
  if (Deno.env.get("CI") === "true") throw new Error(hint);
  // deno-lint-ignore no-console
  console.warn(`${hint}; tests that need it are ignored.`);
}

/** `HEADED=1` shows the window and slows down each step, to debug a test. */
const IS_HEADED = Deno.env.get("HEADED") === "1";

const FLAGS = [
  ...(IS_HEADED ? [] : ["--headless"]),
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A Chromium with a new profile and one open page. */
export class Chromium implements AsyncDisposable {
  readonly page: Page;
  /** Errors that scripts threw or the console logged, violations of the CSP included. */
  readonly errors: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = this.#listen(page);
  }

  /**
   * @param flags further flags of the command line.
   * @param program starts the browser.
   */
  static async open(
    flags: readonly string[] = [],
    program: string = PROGRAM,
  ): Promise<Chromium> {
    const browser = await chromium.launch({
      executablePath: program,
      args: [...FLAGS, ...flags],
      headless: !IS_HEADED,
      slowMo: IS_HEADED ? 300 : 0,
    });
    try {
      // A context of the browser's own takes no second page.
      const context = await browser.newContext();
      return new Chromium(browser, await context.newPage());
    } catch (cause) {
      await browser.close();
      throw cause;
    }
  }

  /** Opens another tab for the visitor of `page`. */
  async newTab(): Promise<Page> {
    return this.#listen(await this.page.context().newPage());
  }

  /** Opens a page for another visitor, who shares no cookies or storage with the first. */
  async newVisitor(): Promise<Page> {
    return this.#listen(await this.#browser.newPage());
  }

  /** Returns the process ids of the browser's tabs. */
  async tabProcesses(): Promise<readonly number[]> {
    const session = await this.#browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
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
