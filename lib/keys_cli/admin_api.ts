import { z } from "zod";
import { pause } from "../shared/async/delay.ts";
import { CliError } from "./cli_error.ts";
import type { Rights } from "./signer.ts";

/** Until a new token is valid after its tenant was revoked: tokens are dated in whole seconds. */
const NEXT_SECOND_MS = 1_100;
/** Keys in one response. */
const PAGE = 1_000;

export type Fetch = (request: Request) => Response | Promise<Response>;

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
  /** Missing in answers of earlier versions. */
  metrics: z.boolean().default(false),
  limits: z.record(z.string(), z.number()),
});

const shownKeySchema = keySchema.extend({ key: z.string() });
const listedKeySchema = keySchema.extend({ revoked: z.boolean() });
export type ListedKey = z.infer<typeof listedKeySchema>;
export type ShownKey = z.infer<typeof shownKeySchema>;

const pageSchema = z.object({ keys: z.array(listedKeySchema), next: z.string().nullable() });
const problemSchema = z.object({ code: z.string(), detail: z.string() });

interface AdminApiOptions {
  readonly url: string;
  readonly fetch: Fetch;
  readonly credential: () => Promise<string>;
  /** Whether `credential` returns a new one at each call. */
  readonly isSigning: boolean;
  readonly close: () => Promise<void>;
  /** Names the store, if it is open in this process. */
  readonly store?: string;
}

/**
 * The admin API of one tenant. Every method throws a {@link CliError} with the `detail` of a
 * refusal.
 */
export class AdminApi implements AsyncDisposable {
  readonly #options: AdminApiOptions;

  constructor(options: AdminApiOptions) {
    this.#options = options;
  }

  /** Names the store that has the keys. Undefined if a running server has them. */
  get store(): string | undefined {
    return this.#options.store;
  }

  /** @param expiresIn seconds; undefined if the key never expires. */
  async createKey(
    name: string | undefined,
    rights: Rights,
    expiresIn: number | undefined,
  ): Promise<ShownKey> {
    const created = await this.#call("POST", "/v1/keys", { ...rights, name, expiresIn });
    return shownKeySchema.parse(created);
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

  /** @param grace seconds; undefined for the server's default. */
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
    await this.#options.close();
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    let result = await this.#send(method, path, body);
    if (result.problem?.code === "token_revoked" && this.#options.isSigning) {
      await pause(NEXT_SECOND_MS);
      result = await this.#send(method, path, body);
    }
    if (result.problem !== undefined) throw new CliError(result.problem.detail);
    return result.value;
  }

  async #send(method: string, path: string, body: unknown): Promise<ApiResult> {
    const { url, fetch, credential } = this.#options;
    const headers = new Headers({ Authorization: `Bearer ${await credential()}` });
    // `fetch` would set it, but this may call the app directly, which checks it too.
    headers.set("Host", new URL(url).host);
    const init: RequestInit = { method, headers, redirect: "manual" };
    if (body !== undefined) {
      headers.set("Content-Type", "application/json");
      init.body = JSON.stringify(body);
    }
    return await readResult(await fetch(new Request(`${url}${path}`, init)));
  }
}

interface ApiResult {
  readonly value?: unknown;
  readonly problem?: z.infer<typeof problemSchema>;
}

async function readResult(response: Response): Promise<ApiResult> {
  const text = await response.text();
  if (response.status === 204) return {};
  const isJson = /^application\/(problem\+)?json\b/.test(
    response.headers.get("content-type") ?? "",
  );
  const value: unknown = isJson ? JSON.parse(text) : undefined;
  if (response.ok && isJson) return { value };
  const { data } = problemSchema.safeParse(value);
  const detail = `The server answered with status ${response.status}. Is it a Weir server?`;
  return { problem: data ?? { code: "", detail } };
}
