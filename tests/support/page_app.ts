import assert from "node:assert/strict";
import type { Hono } from "hono";
import { parseConfig } from "../../lib/config.ts";
import type { Draft } from "../../lib/log/log.ts";
import { createLogger } from "../../lib/logger.ts";
import { openServer } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import type { AppEnv } from "../../routes/context.ts";
import { bearer, settings } from "./guarded.ts";
import { makeSigner } from "./tokens.ts";
import "./open_broadcast_channel.ts";

const HOST = { Host: "localhost" };

/** The paths of all pages, in the order of the navigation. */
export const PATHS = ["/", "/chat", "/call", "/drop", "/dashboard", "/lab"];

/** The rights to all channels except system channels. */
export const ALL_RIGHTS = { publish: ["**"], subscribe: ["**"] };

interface TestApp extends AsyncDisposable {
  /** Appends to the log without the checks of a publish. */
  append(drafts: readonly Draft[]): Promise<unknown>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  publish(channel: string, json: string, token?: string): Promise<void>;
}

interface GuardedApp extends TestApp {
  token(weir?: Readonly<Record<string, unknown>>, claims?: object): Promise<string>;
  /** Requests `path` with the session cookie of this token. */
  page(path: string, token?: string): Promise<{ readonly status: number; readonly text: string }>;
}

/** Opens an app with keys. Its `publish()` has all rights by default. */
export async function openGuardedApp(
  env: Readonly<Record<string, string>> = {},
): Promise<GuardedApp> {
  const signer = await makeSigner("EdDSA");
  const app = await openApp(settings(signer, env));
  const token: GuardedApp["token"] = (weir = ALL_RIGHTS, claims = {}) =>
    signer.sign({ sub: "ann", weir, ...claims });
  return {
    ...app,
    token,
    async publish(channel, json, as) {
      await app.publish(channel, json, as ?? await token());
    },
    async page(path, as) {
      const response = await app.get(path, as === undefined ? {} : cookie(as));
      return { status: response.status, text: await response.text() };
    },
  };
}

/** Returns the header with the session cookie of this token. */
export function cookie(token: string): Readonly<Record<string, string>> {
  return { Cookie: `weir=${token}` };
}

/** Opens an app in open mode, unless `env` says otherwise, with a store in memory. */
export async function openApp(env: Readonly<Record<string, string>> = {}): Promise<TestApp> {
  const logger = createLogger({ isPretty: false, write() {} });
  const server = await openServer(parseConfig({ WEIR_KV: ":memory:", ...env }), logger);
  const app: Hono<AppEnv> = createApp(server);
  const url = (path: string) => `http://localhost${path}`;
  return {
    append: (drafts) => server.log.append(drafts),
    get: async (path, headers = {}) =>
      await app.request(url(path), { headers: { ...HOST, ...headers } }),
    async publish(channel, json, token) {
      const response = await app.request(
        url(`/v1/channels/${encodeURIComponent(channel)}/events`),
        {
          method: "POST",
          headers: {
            ...HOST,
            "Content-Type": "application/json",
            ...token !== undefined && bearer(token),
          },
          body: json,
        },
      );
      await response.body?.cancel();
      assert.equal(response.status, 201);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Returns the events' data in the console's rows. */
export function dataOf(html: string): readonly string[] {
  return [...html.matchAll(/<code class="data">([^<]*)<\/code>/g)].map(([, data = ""]) => data);
}
