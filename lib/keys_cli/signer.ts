import {
  calculateJwkThumbprint,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importPKCS8,
  type JWK,
  SignJWT,
} from "jose";
import type { z } from "zod";
import type { Algorithm } from "../auth/jwk_set.ts";
import type { scopeSchema } from "../auth/scope.ts";
import type { TokenConfig } from "../config.ts";
import { replaceFile } from "../replace_file.ts";
import type { Tenant } from "../shared/channel.ts";
import { CliError } from "./cli_error.ts";
import { failureReason } from "./failure_reason.ts";
import { keysCommand } from "./shown_commands.ts";

/** Ed25519. */
const ALGORITHM = "EdDSA" satisfies Algorithm;

/** The rights of a token or an API key. */
export type Rights = z.input<typeof scopeSchema>;

/** A key that signs tokens. */
export interface Signer {
  /** The thumbprint of the public key (RFC 7638). */
  readonly kid: string;
  /** The public key, as a member of a JWK set. */
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

interface TokenRequest {
  readonly tenant: Tenant;
  /** The token's `sub`. */
  readonly subject: string | undefined;
  readonly rights: Rights;
  /** Rounded up to a second. */
  readonly lifetimeMs: number;
}

interface SignedToken {
  readonly token: string;
  /** Its `jti`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export async function newSigner(): Promise<Signer> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return await signerOf(privateKey);
}

async function signerOf(privateKey: CryptoKey): Promise<Signer> {
  const { kty, crv, x } = await exportJWK(privateKey);
  if (kty === undefined || crv === undefined || x === undefined) {
    throw new Error("an Ed25519 key without kty, crv or x");
  }
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return { kid, jwk: { kty, crv, x, kid, alg: ALGORITHM, use: "sig" }, privateKey };
}

/** Returns the text of a JWK set that verifies the tokens of `signer`. */
export function jwksOf({ jwk }: Signer): string {
  return `${JSON.stringify({ keys: [jwk] }, undefined, 2)}\n`;
}

/** Signs a token for a server with these settings. */
export async function signToken(
  { kid, privateKey }: Signer,
  { tenant, subject, rights, lifetimeMs }: TokenRequest,
  { issuer, audience }: Pick<TokenConfig, "issuer" | "audience">,
): Promise<SignedToken> {
  const id = crypto.randomUUID();
  const issuedAt = Math.floor(Date.now() / 1_000);
  const expiresAt = issuedAt + Math.ceil(lifetimeMs / 1_000);
  const jwt = new SignJWT({ weir: { tenant, ...rights } })
    .setProtectedHeader({ alg: ALGORITHM, typ: "JWT", kid })
    .setJti(id).setIssuedAt(issuedAt).setExpirationTime(expiresAt);
  if (subject !== undefined) jwt.setSubject(subject);
  if (issuer !== undefined) jwt.setIssuer(issuer);
  if (audience !== undefined) jwt.setAudience(audience);
  return { token: await jwt.sign(privateKey), id, expiresAt: expiresAt * 1_000 };
}

/** Returns the paths of the key's files in the data folder. */
export function keyFiles(data: string): { readonly jwks: string; readonly signing: string } {
  return { jwks: `${data}/keys/jwks.json`, signing: `${data}/keys/signing.pem` };
}

/**
 * Writes the key to the data folder: `jwks.json`, which is public, and `signing.pem` (PKCS#8), which
 * only its owner may read.
 *
 * @throws {CliError} if there is a key already and `force` is not set.
 */
export async function saveSigner(
  data: string,
  signer: Signer,
  { force }: { readonly force: boolean },
): Promise<void> {
  const { jwks, signing } = keyFiles(data);
  for (const path of [signing, jwks]) {
    if (force || !await exists(path)) continue;
    throw new CliError(
      `${path} already exists. --force replaces it: tokens signed with the old key stop working.`,
    );
  }
  const pem = await exportPKCS8(signer.privateKey);
  try {
    await Deno.mkdir(`${data}/keys`, { recursive: true });
    await replaceFile(signing, `${pem.trimEnd()}\n`, 0o600);
    await replaceFile(jwks, jwksOf(signer), 0o644);
  } catch (cause) {
    throw new CliError(`Cannot write into ${data}/keys: ${failureReason(cause)}.`, { cause });
  }
}

/** @throws {CliError} if there is no key or it cannot be used. */
export async function loadSigner(data: string): Promise<Signer> {
  const { signing } = keyFiles(data);
  let pem: string;
  try {
    pem = await Deno.readTextFile(signing);
  } catch (cause) {
    const detail = cause instanceof Deno.errors.NotFound
      ? `There is no ${signing}, which signs tokens. Create it with ${
        keysCommand({ dataFolder: data })
      } init.`
      : `Cannot read ${signing}: ${failureReason(cause)}.`;
    throw new CliError(detail, { cause });
  }
  // Without the cause, which may contain a part of the private key.
  const key = await importPKCS8(pem, ALGORITHM, { extractable: true }).catch(() => {
    throw new CliError(`${signing} is not an Ed25519 key in PKCS#8.`);
  });
  return await signerOf(key);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw cause;
  }
}
