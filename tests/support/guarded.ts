import { LocalServer } from "./local_server.ts";
import { WeirServer } from "./server.ts";
import { jwksOf, makeSigner, type Signer } from "./tokens.ts";

export { bearer } from "./tokens.ts";

/** A server with keys, and the signer that it trusts. */
export interface Guarded<Server> extends AsyncDisposable {
  readonly server: Server;
  readonly url: string;
  readonly signer: Signer;
  /** Signs a token with these members of the claim `weir`, and other claims. */
  token(
    weir?: Readonly<Record<string, unknown>>,
    claims?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

type Env = Readonly<Record<string, string>>;

/** Starts a guarded server in this process, without clock skew, so that tokens expire exactly. */
export async function guardedLocal(env: Env = {}): Promise<Guarded<LocalServer>> {
  const signer = await makeSigner("EdDSA");
  return guarded(await LocalServer.start(settings(signer, env)), signer);
}

/** Starts a guarded server in its own process. */
export async function guardedServer(env: Env = {}): Promise<Guarded<WeirServer>> {
  const signer = await makeSigner("EdDSA");
  return guarded(await WeirServer.start({ env: settings(signer, env) }), signer);
}

/** Rates that no test reaches, even on a fast machine. */
const NO_RATES = ["credential", "address", "tenant"].flatMap((scope) =>
  ["publishes", "bytes", "subscribes"].map((name) => `${scope}.${name}=1000000000`)
).join(" ");

/**
 * Returns the settings of a server that trusts `signer`. It limits only the rates in `env`, and
 * serves all pages.
 */
export function settings(signer: Signer, { WEIR_LIMITS = "", ...env }: Env = {}): Env {
  return {
    WEIR_JWKS: jwksOf(signer),
    WEIR_PAGES: "all",
    WEIR_TOKEN_SKEW: "0s",
    WEIR_LIMITS: `${NO_RATES} ${WEIR_LIMITS}`,
    ...env,
  };
}

export function guarded<Server extends AsyncDisposable & { readonly url: string }>(
  server: Server,
  signer: Signer,
): Guarded<Server> {
  const signing = new Set<Promise<string>>();
  return {
    server,
    get url() {
      return server.url;
    },
    signer,
    token(weir = { publish: ["**"], subscribe: ["**"] }, claims = {}) {
      const token = signer.sign({ sub: "ann", weir, ...claims });
      signing.add(token);
      const signed = () => void signing.delete(token);
      token.then(signed, signed);
      return token;
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Promise.allSettled(signing); // a client that is closed no longer waits for its token
    },
  };
}

/** Returns the claims of a token that expires in `seconds`. */
export function endingIn(seconds: number): { readonly iat: number; readonly exp: number } {
  const now = Math.floor(Date.now() / 1_000);
  return { iat: now, exp: now + seconds };
}
