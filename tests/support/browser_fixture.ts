import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "./chromium.ts";
import { type Guarded, guardedServer } from "./guarded.ts";
import { WeirServer, type WeirServerOptions } from "./server.ts";

/** What a browser test gets. All of it is disposed of after the test. */
export interface BrowserContext<Server> {
  /** A server in a process of its own. */
  readonly server: Server;
  readonly chromium: Chromium;
  /** The first page of the browser. */
  readonly page: Page;
  /** What the pages' scripts threw and the console called errors. */
  readonly errors: readonly string[];
}

interface BrowserTestOptions extends WeirServerOptions {
  /** Further flags of the browser. */
  readonly flags?: readonly string[];
}

/** Flags of a browser with a camera and a microphone that are not real, and may be used. */
export const FAKE_DEVICES: readonly string[] = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

type BrowserTest<Server> = (context: BrowserContext<Server>) => Promise<void>;

/** Registers a test with an open server and a browser. It is ignored without Chromium. */
export function browserTest(name: string, run: BrowserTest<WeirServer>): void;
export function browserTest(
  name: string,
  options: BrowserTestOptions,
  run: BrowserTest<WeirServer>,
): void;
export function browserTest(
  name: string,
  ...rest: [BrowserTest<WeirServer>] | [BrowserTestOptions, BrowserTest<WeirServer>]
): void {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  register(name, () => WeirServer.start(options), run, options.flags);
}

/** Registers a browser test with a server that has keys and these variables. */
export function guardedBrowserTest(
  name: string,
  env: Readonly<Record<string, string>>,
  run: BrowserTest<Guarded<WeirServer>>,
): void {
  register(name, () => guardedServer(env), run);
}

function register<Server extends AsyncDisposable>(
  name: string,
  start: () => Promise<Server>,
  run: BrowserTest<Server>,
  flags: readonly string[] = [],
): void {
  Deno.test(name, { ignore: CHROMIUM_MISSING }, async () => {
    await using server = await start();
    await using chromium = await Chromium.open(flags);
    const { page, errors } = chromium;
    await run({ server, chromium, page, errors });
  });
}
