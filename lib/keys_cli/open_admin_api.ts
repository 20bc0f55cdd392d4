import { dirname, normalize } from "node:path";
import { type Config, isKvUrl } from "../config.ts";
import { StoreInUseError } from "../kv/store.ts";
import { createLogger, errorFields, type Logger } from "../logger.ts";
import { openServer, type Server } from "../server.ts";
import { DEFAULT_TENANT, type Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { AdminApi, type Fetch } from "./admin_api.ts";
import { CliError } from "./cli_error.ts";
import { failureReason } from "./failure_reason.ts";
import { parseServerUrl, serverUrl } from "./server_url.ts";
import { jwksOf, loadSigner, newSigner, type Signer, signToken } from "./signer.ts";

const TOKEN_LIFETIME_MS = 60_000;
/** How long a server may take to answer. */
const TIMEOUT_MS = 10_000;
/** The subject of the tokens, as the tenant's `$audit` shows it. */
const SUBJECT = "deno task keys";

interface OpenOptions {
  readonly config: Config;
  /** @default "default" */
  readonly tenant: Tenant | undefined;
  /** The server to use. @default the store, or the server that has it open */
  readonly url: string | undefined;
  /** The credential for the server. @default a token that the configured key signs */
  readonly adminToken: string | undefined;
  /** Creates the HTTP side of a server that is opened in this process. */
  readonly createFetch: (server: Server) => Fetch;
}

/**
 * Opens the admin API of a running server, or, if no server has the store open, of a server that is
 * opened on the store in this process.
 *
 * @throws {CliError}
 */
export async function openAdminApi(options: OpenOptions): Promise<AdminApi> {
  const { config, url, adminToken } = options;
  if (adminToken !== undefined && options.tenant !== undefined) {
    throw new CliError("WEIR_ADMIN_TOKEN is for one tenant already: omit --tenant.");
  }
  // Only its server can access a store in memory.
  const isRemote = url !== undefined || adminToken !== undefined || config.kv === ":memory:";
  if (isRemote) return await useServer(options);
  try {
    return await openStore(options);
  } catch (cause) {
    if (!(cause instanceof StoreInUseError)) throw cause;
    return await useServer(options);
  }
}

async function openStore(
  { config, tenant = DEFAULT_TENANT, createFetch }: OpenOptions,
): Promise<AdminApi> {
  if (config.kv !== undefined && !isKvUrl(config.kv)) {
    await Deno.mkdir(dirname(config.kv), { recursive: true });
  }
  const signer = await newSigner();
  const jwks = { kind: "inline", text: jwksOf(signer) } as const;
  const tokens = { ...config.tokens, jwks };
  const own: Config = { ...config, tokens, anonymous: undefined, isOpen: false };
  const server = await openServer(own, warningsOnly()).catch((cause) => {
    if (cause instanceof StoreInUseError) throw cause;
    const why = cause instanceof Problem ? cause.detail : errorFields(cause).detail;
    throw new CliError(`Cannot open the store that WEIR_KV names: ${why}`, { cause });
  });
  return new AdminApi({
    url: "http://127.0.0.1",
    fetch: createFetch(server),
    credential: () => signAdminToken(signer, tenant, config),
    isSigning: true,
    close: () => server.close(),
    store: nameOf(config.kv),
  });
}

/** Names a store. Its URL may contain a credential. */
function nameOf(kv: Config["kv"]): string {
  if (kv === undefined) return "the store of the platform";
  if (!isKvUrl(kv)) return `the store ${normalize(kv)}`;
  const { origin, pathname } = new URL(kv);
  return `the store at ${origin}${pathname === "/" ? "" : pathname}`;
}

async function useServer(options: OpenOptions): Promise<AdminApi> {
  const { config, tenant = DEFAULT_TENANT, url, adminToken } = options;
  const base = {
    url: url === undefined ? serverUrl(config) : parseServerUrl(url).origin,
    fetch: fetchWithTimeout,
    close: () => Promise.resolve(),
  };
  if (adminToken !== undefined) {
    const credential = () => Promise.resolve(adminToken);
    return new AdminApi({ ...base, credential, isSigning: false });
  }
  const signer = await loadSigner(config.dataFolder);
  const credential = () => signAdminToken(signer, tenant, config);
  return new AdminApi({ ...base, credential, isSigning: true });
}

async function fetchWithTimeout(request: Request): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (cause) {
    const { origin } = new URL(request.url);
    throw new CliError(`Cannot reach a Weir server at ${origin}: ${failureReason(cause)}.`, {
      cause,
    });
  }
}

async function signAdminToken(signer: Signer, tenant: Tenant, { tokens }: Config): Promise<string> {
  const lifetimeMs = Math.min(TOKEN_LIFETIME_MS, tokens.maxLifetimeMs);
  const request = { tenant, subject: SUBJECT, rights: { admin: true }, lifetimeMs };
  return (await signToken(signer, request, tokens)).token;
}

function warningsOnly(): Logger {
  const write = (line: string) => void Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
  return { ...createLogger({ isPretty: Deno.stderr.isTerminal(), write }), info() {} };
}
