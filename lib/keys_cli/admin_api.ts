import { dirname } from "node:path";
import { z } from "zod";
import { type Config, isLoopback } from "../config.ts";
import { StoreInUseError } from "../kv/store.ts";
import { createLogger, errorFields, type Logger } from "../logger.ts";
import { pause } from "../shared/async/delay.ts";
import { DEFAULT_TENANT, type Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { openServer, type Server } from "../server.ts";
import { CliError } from "./cli_error.ts";
import { jwksOf, loadSigner, newSigner, type Rights, type Signer, signToken } from "./signer.ts";

/** How long a token of ours is good for, in ms. */
const TOKEN_LIFETIME = 60_000;
/** How long a server may take to answer, in ms. */
const TIMEOUT = 10_000;
/** Tokens say in whole seconds when they were issued: a revoked tenant's are good again after it. */
const NEXT_SECOND = 1_100;
/** Who it was, in the tenant's `$audit`. */
const SUBJECT = "deno task keys";
/** Keys in one answer. */
const PAGE = 1_000;

type Fetch = (request: Request) => Response | Promise<Response>;

interface AdminApiOptions {
  readonly config: Config;
  /** @default "default" */
  readonly tenant: Tenant | undefined;
  /** Asks the server there. @default the store, or the server that has it open */
  readonly url: string | undefined;
  /** Asks the server with this credential. */
  readonly adminToken: string | undefined;
  /** The HTTP side of an open Weir. */
  readonly createFetch: (server: Server) => Fetch;
}

const keySchema = z.object({
  id: z.string(),
  name: z.string().nullable(),
  created: z.string(),
  expires: z.string().nullable(),
  replacedBy: z.string().nullable(),
  publish: z.array(z.string()),
  subscribe: z.array(z.string()),
  presence: z.array(z.string()),
  manage: z.array(z.string()),
  admin: z.boolean(),
  limits: z.record(z.string(), z.number()),
});

const shownKeySchema = keySchema.extend({ key: z.string() });
const listedKeySchema = keySchema.extend({ revoked: z.boolean() });
export type ListedKey = z.infer<typeof listedKeySchema>;
export type ShownKey = z.infer<typeof shownKeySchema>;

const pageSchema = z.object({ keys: z.array(listedKeySchema), next: z.string().nullable() });
const problemSchema = z.object({ code: z.string(), detail: z.string() });

/**
 * The admin API of one tenant, of a server or, where none runs, of a Weir that is opened on the
 * store for this: it is the same code that answers. Every method throws a {@link CliError} with the
 * refusal's `detail`.
 */
export class AdminApi implements AsyncDisposable {
  readonly #url: string;
  readonly #fetch: Fetch;
  readonly #credential: () => Promise<string>;
  /** Whether the next credential is another one. */
  readonly #isSigning: boolean;
  readonly #close: () => Promise<void>;

  private constructor(options: {
    readonly url: string;
    readonly fetch: Fetch;
    readonly credential: () => Promise<string>;
    readonly isSigning: boolean;
    readonly close: () => Promise<void>;
  }) {
    this.#url = options.url;
    this.#fetch = options.fetch;
    this.#credential = options.credential;
    this.#isSigning = options.isSigning;
    this.#close = options.close;
  }

  /** @throws {CliError} */
  static async open(options: AdminApiOptions): Promise<AdminApi> {
    const { config, url, adminToken } = options;
    if (adminToken !== undefined && options.tenant !== undefined) {
      throw new CliError("WEIR_ADMIN_TOKEN says which tenant it is for: leave --tenant out.");
    }
    // A store in memory is the server's alone.
    const isRemote = url !== undefined || adminToken !== undefined || config.kv === ":memory:";
    if (isRemote) return await AdminApi.#ofServer(options);
    try {
      return await AdminApi.#ofStore(options);
    } catch (cause) {
      if (!(cause instanceof StoreInUseError)) throw cause;
      return await AdminApi.#ofServer(options);
    }
  }

  static async #ofStore(
    { config, tenant = DEFAULT_TENANT, createFetch }: AdminApiOptions,
  ): Promise<AdminApi> {
    if (config.kv !== undefined && !/^https?:/.test(config.kv)) {
      await Deno.mkdir(dirname(config.kv), { recursive: true });
    }
    const signer = await newSigner();
    const tokens = { ...config.tokens, jwks: jwksOf(signer) };
    const own: Config = { ...config, tokens, anonymous: undefined, isOpen: false };
    const server = await openServer(own, warningsOnly()).catch((cause) => {
      if (cause instanceof StoreInUseError) throw cause;
      const why = cause instanceof Problem ? cause.detail : errorFields(cause).detail;
      throw new CliError(`Cannot open the store that WEIR_KV names: ${why}`, { cause });
    });
    return new AdminApi({
      url: "http://127.0.0.1",
      fetch: createFetch(server),
      credential: () => adminToken(signer, tenant, config),
      isSigning: true,
      close: () => server.close(),
    });
  }

  static async #ofServer(options: AdminApiOptions): Promise<AdminApi> {
    const { config, tenant = DEFAULT_TENANT, url } = options;
    const base = { url: url === undefined ? serverUrl(config) : readUrl(url), fetch: ask };
    const close = () => Promise.resolve();
    const { adminToken: given } = options;
    if (given !== undefined) {
      const credential = () => Promise.resolve(given);
      return new AdminApi({ ...base, credential, isSigning: false, close });
    }
    const signer = await loadSigner(config.dataFolder);
    const credential = () => adminToken(signer, tenant, config);
    return new AdminApi({ ...base, credential, isSigning: true, close });
  }

  /** @param expiresIn seconds; undefined: it has no end. */
  async createKey(
    name: string | undefined,
    rights: Rights,
    expiresIn: number | undefined,
  ): Promise<ShownKey> {
    const answer = await this.#call("POST", "/v1/keys", { ...rights, name, expiresIn });
    return shownKeySchema.parse(answer);
  }

  async *keys(): AsyncGenerator<ListedKey, void, void> {
    const query = new URLSearchParams({ limit: String(PAGE) });
    while (true) {
      const { keys, next } = pageSchema.parse(await this.#call("GET", `/v1/keys?${query}`));
      yield* keys;
      if (next === null) return;
      query.set("after", next);
    }
  }

  /** @param grace seconds; undefined: as the server has it. */
  async rotateKey(id: string, grace: number | undefined): Promise<ShownKey> {
    const path = `/v1/keys/${encodeURIComponent(id)}/rotate`;
    return shownKeySchema.parse(await this.#call("POST", path, { grace }));
  }

  async removeKey(id: string): Promise<void> {
    await this.#call("DELETE", `/v1/keys/${encodeURIComponent(id)}`);
  }

  /** @param what the body of `POST /v1/revocations`. */
  async revoke(what: Readonly<Record<string, string | boolean>>): Promise<void> {
    await this.#call("POST", "/v1/revocations", what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    let answer = await this.#send(method, path, body);
    if (answer.problem?.code === "token_revoked" && this.#isSigning) {
      await pause(NEXT_SECOND);
      answer = await this.#send(method, path, body);
    }
    if (answer.problem !== undefined) throw new CliError(answer.problem.detail);
    return answer.value;
  }

  async #send(method: string, path: string, body: unknown): Promise<ApiAnswer> {
    const headers = new Headers({ Authorization: `Bearer ${await this.#credential()}` });
    // `fetch` sets it; a Weir that is called without a server looks at it too.
    headers.set("Host", new URL(this.#url).host);
    const init: RequestInit = { method, headers, redirect: "manual" };
    if (body !== undefined) {
      headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(body);
    }
    return await readAnswer(await this.#fetch(new Request(`${this.#url}${path}`, init)));
  }
}

interface ApiAnswer {
  readonly value?: unknown;
  readonly problem?: z.infer<typeof problemSchema>;
}

async function readAnswer(response: Response): Promise<ApiAnswer> {
  const text = await response.text();
  if (response.status === 204) return {};
  const isJson = /^application\/(problem\+)?json\b/.test(
    response.headers.get("content-type") ?? "",
  );
  const value: unknown = isJson ? JSON.parse(text) : undefined;
  if (response.ok && isJson) return { value };
  const { data } = problemSchema.safeParse(value);
  const detail = `The server answered with status ${response.status}: is it a Weir?`;
  return { problem: data ?? { code: "", detail } };
}

async function ask(request: Request): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(TIMEOUT) });
  } catch (cause) {
    const { origin } = new URL(request.url);
    const why = cause instanceof Error ? cause.message : "unknown";
    throw new CliError(`Cannot reach a Weir at ${origin}: ${why}`, { cause });
  }
}

async function adminToken(signer: Signer, tenant: Tenant, { tokens }: Config): Promise<string> {
  const lifetime = Math.min(TOKEN_LIFETIME, tokens.maxLifetimeMs);
  const request = { tenant, subject: SUBJECT, rights: { admin: true }, lifetime };
  return (await signToken(signer, request, tokens)).token;
}

/** Where a server with this configuration is reached from this machine. */
export function serverUrl({ host, port, tls, publicUrls }: Config): string {
  // A certificate is for the public name.
  const named = publicUrls.find((url) => url.startsWith("https:"));
  if (tls !== undefined && named !== undefined) return named;
  const isIpv6 = host.includes(":");
  const anywhere = host === "0.0.0.0" || host === "::";
  const name = anywhere ? (isIpv6 ? "::1" : "127.0.0.1") : host;
  return `${tls === undefined ? "http" : "https"}://${isIpv6 ? `[${name}]` : name}:${port}`;
}

function readUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CliError("--url is where the server is, such as https://weir.example.com.");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw new CliError("--url must be https://: on http:// others could read the token.");
  }
  return url.origin;
}

function warningsOnly(): Logger {
  const write = (line: string) => void Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
  return { ...createLogger({ isPretty: Deno.stderr.isTerminal(), write }), info() {} };
}
