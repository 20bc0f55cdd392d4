import { WeirError } from "../core/weir_error.ts";

const DEFAULT_LIFETIME_SECONDS = 600;
/** The server's limit of `sub` in UTF-16 units. */
const MAX_SUB_CHARS = 256;
const ALGORITHMS = ["EdDSA", "ES256", "RS256"] as const;

/**
 * A private key: PEM (PKCS#8, as `deno task keys init` writes), a JWK, or the JSON text of a JWK.
 * Ed25519, P-256, RSA, or a secret of at least 32 bytes (`{"kty":"oct"}`).
 */
export type SigningKey = string | object;

/** What a token allows. Rights are lists of channel patterns; a right that is missing is not granted. */
export interface TokenRights {
  readonly publish?: readonly string[] | undefined;
  readonly subscribe?: readonly string[] | undefined;
  readonly presence?: readonly string[] | undefined;
  readonly manage?: readonly string[] | undefined;
  readonly admin?: boolean | undefined;
  /** Read the server's metrics, in the tenant `default`. */
  readonly metrics?: boolean | undefined;
  /** Limits of the user in place of the server's, per second; `connections` open at once. */
  readonly limits?: {
    readonly publishes?: number | undefined;
    readonly bytes?: number | undefined;
    readonly subscribes?: number | undefined;
    readonly connections?: number | undefined;
  } | undefined;
}

export interface TokenOptions extends TokenRights {
  /**
   * The user: 1–256 characters. Readers see it as the publisher of the user's events, and as a
   * member's name, so use an id that you generate, without `*`, `/` and `:`.
   */
  readonly sub: string;
  /** @default "default" */
  readonly tenant?: string | undefined;
  /** @default 600 */
  readonly lifetimeSeconds?: number | undefined;
  /** `iss`, if the server has `WEIR_TOKEN_ISSUER`. */
  readonly issuer?: string | undefined;
  /** `aud`, if the server has `WEIR_TOKEN_AUDIENCE`. */
  readonly audience?: string | undefined;
  /**
   * The key's name in the server's JWKS.
   *
   * @default the `kid` of the JWK, or the thumbprint of the public key (RFC 7638)
   */
  readonly kid?: string | undefined;
}

/**
 * Signs a token for a user: a JWT (RFC 7519) with the claim `weir`, a random `jti` and `iat`.
 *
 * @throws {WeirError} `bad_key` if the key cannot sign, `bad_parameter` if an option is wrong,
 * `jose_missing`. None of them contains the key.
 */
export async function mintToken(key: SigningKey, options: TokenOptions): Promise<string> {
  const { sub, tenant, issuer, audience, lifetimeSeconds = DEFAULT_LIFETIME_SECONDS } = options;
  const { publish, subscribe, presence, manage, admin, metrics, limits } = options;
  requireOptions(sub, lifetimeSeconds, [publish, subscribe, presence, manage]);
  const jose = await loadJose();
  const { privateKey, alg, kid } = await importKey(jose, key);
  const named = options.kid ?? kid;
  const weir = { tenant, publish, subscribe, presence, manage, admin, metrics, limits };
  const issuedAt = Math.floor(Date.now() / 1_000);
  const jwt = new jose.SignJWT({ weir })
    .setProtectedHeader({ alg, typ: "JWT", ...named !== undefined && { kid: named } })
    .setSubject(sub)
    .setJti(crypto.randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.ceil(lifetimeSeconds));
  if (issuer !== undefined) jwt.setIssuer(issuer);
  if (audience !== undefined) jwt.setAudience(audience);
  return await jwt.sign(privateKey).catch(() => {
    throw badKey(`it cannot sign with ${alg}`);
  });
}

function requireOptions(
  sub: unknown,
  lifetimeSeconds: unknown,
  rights: readonly (readonly string[] | undefined)[],
): void {
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_SUB_CHARS) {
    throw badOption("`sub` must be a string of 1–256 characters.");
  }
  if (typeof lifetimeSeconds !== "number" || !(lifetimeSeconds > 0)) {
    throw badOption("`lifetimeSeconds` must be a positive number.");
  }
  // A user named "**" would have the rights of everybody.
  if (sub.includes("*") && rights.some((list) => list?.some((one) => one.includes(sub)))) {
    throw badOption("A `sub` with `*` must not be part of a pattern.");
  }
}

type Jose = typeof import("jose");
type Jwk = import("jose").JWK;

async function loadJose(): Promise<Jose> {
  try {
    return await import("jose");
  } catch (cause) {
    throw new WeirError("jose_missing", "mintToken() needs the package jose: npm install jose", {
      cause,
    });
  }
}

interface ImportedKey {
  readonly privateKey: CryptoKey | Uint8Array;
  readonly alg: string;
  readonly kid: string | undefined;
}

/** @throws {WeirError} `bad_key`, without the error of the import, which may quote the key. */
async function importKey(jose: Jose, key: SigningKey): Promise<ImportedKey> {
  if (typeof key === "object" && key !== null) return await importJwk(jose, key);
  if (typeof key !== "string") throw badKey("it is neither a JWK nor PEM");
  const text = key.trim();
  if (text.startsWith("{")) return await importJwk(jose, parseJwk(text));
  // Settings of one line often have \n in place of line ends.
  return await importPem(jose, text.replaceAll("\\n", "\n"));
}

function parseJwk(text: string): object {
  try {
    return JSON.parse(text);
  } catch {
    throw badKey("it is not JSON");
  }
}

async function importJwk(jose: Jose, key: object): Promise<ImportedKey> {
  const jwk = { ...key } as Jwk;
  const alg = jwk.alg ?? algorithmOf(jwk);
  if (alg === undefined) throw badKey("its type is none of Ed25519, P-256, RSA and oct");
  if (jwk.kty !== "oct" && jwk.d === undefined) throw badKey("it is a public key");
  try {
    // The thumbprint of a secret would be a hash of it, so a secret has only the name it was given.
    const kid = jwk.kid ?? (jwk.kty === "oct" ? undefined : await jose.calculateJwkThumbprint(jwk));
    return { privateKey: await jose.importJWK(jwk, alg), alg, kid };
  } catch {
    throw badKey(`it is not a JWK for ${alg}`);
  }
}

function algorithmOf({ kty, crv }: Jwk): string | undefined {
  if (kty === "OKP" && crv === "Ed25519") return "EdDSA";
  if (kty === "EC" && crv === "P-256") return "ES256";
  return kty === "RSA" ? "RS256" : kty === "oct" ? "HS256" : undefined;
}

async function importPem(jose: Jose, pem: string): Promise<ImportedKey> {
  if (!pem.startsWith("-----BEGIN PRIVATE KEY-----")) {
    throw badKey(
      "it is neither a JWK nor PEM in PKCS#8, which begins with -----BEGIN PRIVATE KEY-----",
    );
  }
  for (const alg of ALGORITHMS) {
    const privateKey = await jose.importPKCS8(pem, alg, { extractable: true }).catch(() => {});
    if (privateKey === undefined) continue;
    const kid = await jose.calculateJwkThumbprint(await jose.exportJWK(privateKey));
    return { privateKey, alg, kid };
  }
  throw badKey("it is none of Ed25519, P-256 and RSA in PKCS#8");
}

function badKey(fault: string): WeirError {
  return new WeirError("bad_key", `Cannot sign with this key: ${fault}.`);
}

function badOption(detail: string): WeirError {
  return new WeirError("bad_parameter", detail);
}
