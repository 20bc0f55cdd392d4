import { CompactSign, exportJWK, generateKeyPair, generateSecret, type JWK } from "jose";
import type { Algorithm } from "../../lib/auth/jwk_set.ts";

/** The default lifetime of a token in seconds. */
const LIFETIME = 60;

export interface SignOptions {
  /** Further header members; undefined removes `alg` or `kid`. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970. @default Date.now() */
  readonly now?: number;
}

/** A key that signs tokens. */
export interface Signer {
  readonly kid: string;
  /** The key that verifies: the public key, or the secret for HS256. */
  readonly jwk: JWK;
  readonly privateJwk: JWK;
  /** Signs these claims and `iat`, `exp` and an empty `weir`; undefined removes a claim. */
  sign(claims?: Readonly<Record<string, unknown>>, options?: SignOptions): Promise<string>;
  /** Signs any text in place of the claims. */
  signText(payload: string, options?: SignOptions): Promise<string>;
}

/** @param kid @default random */
export async function makeSigner(
  algorithm: Algorithm,
  kid: string = `${algorithm}-${crypto.randomUUID().slice(0, 8)}`,
): Promise<Signer> {
  const pair = await makePair(algorithm);
  const [jwk, privateJwk] = await Promise.all([pair.publicKey, pair.privateKey].map(exportJWK));
  const named = { alg: algorithm, kid };

  function signText(payload: string, { header = {} }: SignOptions = {}): Promise<string> {
    const { crit } = header;
    const known = Array.isArray(crit) ? Object.fromEntries(crit.map((name) => [name, true])) : {};
    return new CompactSign(new TextEncoder().encode(payload))
      .setProtectedHeader({ ...named, ...header })
      .sign(pair.privateKey, { crit: known });
  }

  return {
    kid,
    jwk: { ...jwk, ...named },
    privateJwk: { ...privateJwk, ...named },
    signText,
    sign(claims = {}, options = {}) {
      const iat = Math.floor((options.now ?? Date.now()) / 1_000);
      const all = { iat, exp: iat + LIFETIME, weir: {}, ...claims };
      return signText(JSON.stringify(all), options);
    },
  };
}

async function makePair(algorithm: Algorithm) {
  if (algorithm !== "HS256") return await generateKeyPair(algorithm, { extractable: true });
  const secret = await generateSecret(algorithm, { extractable: true });
  return { publicKey: secret, privateKey: secret };
}

/** Returns the JSON of a JWK set. `weir_tenant` of a key is an extension of Weir. */
export function jwksOf(
  ...signers: readonly { readonly jwk: JWK & { readonly weir_tenant?: string } }[]
): string {
  return JSON.stringify({ keys: signers.map(({ jwk }) => jwk) });
}

export function bearer(token: string): Readonly<Record<string, string>> {
  return { Authorization: `Bearer ${token}` };
}
