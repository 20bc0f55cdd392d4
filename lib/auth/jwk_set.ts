import { createHash } from "node:crypto";
import { calculateJwkThumbprint, importJWK } from "jose";
import { z } from "zod";
import type { Tenant } from "../shared/channel.ts";
import { quote } from "../shared/problem.ts";
import { tenantSchema } from "./scope.ts";

/** The supported signature algorithms. `EdDSA` is Ed25519. */
export const ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"] as const;
export type Algorithm = typeof ALGORITHMS[number];

/** Guards against a set that costs more to import than its tokens to verify. */
export const MAX_SIGNING_KEYS = 100;
/** Guards against names that fill logs and lists of revocations. */
const MAX_KID_CHARS = 256;
/** RFC 7518 §3.3. Guards against a modulus that can be factored. */
const MIN_RSA_BITS = 2_048;
/** RFC 7518 §3.2. Guards against a secret that can be guessed. */
const MIN_SECRET_BYTES = 32;

/** A key that verifies tokens: a public key, or a secret for HS256. */
export interface VerificationKey {
  /** The JWK's `kid`, or its thumbprint (RFC 7638). */
  readonly kid: string;
  readonly algorithm: Algorithm;
  /** The only tenant that it may sign for, if its JWK has `weir_tenant`. */
  readonly tenant: Tenant | undefined;
  /** SHA-256 of the key's material and its tenant, in base64url: identifies the key. */
  readonly fingerprint: string;
  readonly key: CryptoKey;
}

const setSchema = z.object({ keys: z.array(z.unknown()).min(1).max(MAX_SIGNING_KEYS) });

/** 32 bytes. */
const coordinate = z.string().regex(/^[\w-]{43}$/, "must be 32 bytes in base64url");

/** The members of the public key or the secret. Others, also private ones, are dropped. */
const materialSchema = z.discriminatedUnion("kty", [
  z.object({ kty: z.literal("oct"), k: z.string() }),
  z.object({ kty: z.literal("RSA"), n: z.string(), e: z.string() }),
  z.object({ kty: z.literal("EC"), crv: z.literal("P-256"), x: coordinate, y: coordinate }),
  z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: coordinate }),
], "must be oct, RSA, EC or OKP");
type Material = z.infer<typeof materialSchema>;

const ALGORITHM_OF: Readonly<Record<Material["kty"], Algorithm>> = {
  oct: "HS256",
  RSA: "RS256",
  EC: "ES256",
  OKP: "EdDSA",
};

const aboutSchema = z.object({
  kid: z.string().min(1).max(MAX_KID_CHARS).optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
  weir_tenant: tenantSchema.optional(),
  d: z.unknown().optional(),
});
type About = z.infer<typeof aboutSchema>;

/**
 * Parses a JWK set. A key that cannot be used is an error, or only a warning if the set comes from a
 * URL, where the key may have another purpose.
 *
 * @param isForeign whether the set comes from a URL.
 * @throws {Error} with a sentence for the operator that contains no key.
 */
export async function parseKeys(
  text: string,
  isForeign: boolean,
): Promise<{ keys: readonly VerificationKey[]; warnings: readonly string[] }> {
  const keys = new Map<string, VerificationKey>();
  const warnings: string[] = [];
  for (const [i, jwk] of parseSet(text).entries()) {
    try {
      const { key, isPrivate } = await parseKey(jwk);
      if (keys.has(key.kid)) throw new Error(`another key has the "kid" ${quote(key.kid)} too`);
      keys.set(key.kid, key);
      if (isPrivate) warnings.push(`key ${i + 1} is private: only its public part is needed`);
    } catch (cause) {
      const fault = `key ${i + 1} cannot be used: ${cause instanceof Error ? cause.message : ""}`;
      if (!isForeign) throw new Error(fault);
      warnings.push(fault);
    }
  }
  if (keys.size === 0) throw new Error("none of its keys can be used");
  return { keys: [...keys.values()], warnings };
}

function parseSet(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // V8's message contains a part of the text.
    throw new Error("it is not JSON");
  }
  const { data } = setSchema.safeParse(value);
  if (data === undefined) {
    throw new Error(`it is not {"keys": […]} with 1–${MAX_SIGNING_KEYS} keys`);
  }
  return data.keys;
}

async function parseKey(jwk: unknown): Promise<{ key: VerificationKey; isPrivate: boolean }> {
  const material = parse(materialSchema, jwk);
  const about = parse(aboutSchema, jwk);
  const algorithm = ALGORITHM_OF[material.kty];
  checkPurpose(about, algorithm);
  if (about.kid === undefined && material.kty === "oct") throw new Error(`it has no "kid"`);
  const { kid = await calculateJwkThumbprint(material), weir_tenant: tenant } = about;
  const key = await importKey(material, algorithm);
  return {
    key: { kid, algorithm, tenant, fingerprint: fingerprintOf(material, tenant), key },
    isPrivate: material.kty !== "oct" && about.d !== undefined,
  };
}

/** Reveals no more about a secret than any token that was signed with it. */
function fingerprintOf(material: Material, tenant: Tenant | undefined): string {
  return createHash("sha256").update(JSON.stringify([material, tenant])).digest("base64url");
}

function checkPurpose({ alg, use, key_ops: operations }: About, algorithm: Algorithm): void {
  if (alg !== undefined && alg !== algorithm) {
    throw new Error(`its "alg" is ${quote(alg)}, but a key of this type is for ${algorithm}`);
  }
  if (use !== undefined && use !== "sig") throw new Error(`its "use" is ${quote(use)}, not "sig"`);
  if (operations?.some((name) => name === "verify" || name === "sign") === false) {
    throw new Error(`its "key_ops" do not include "verify"`);
  }
}

async function importKey(material: Material, algorithm: Algorithm): Promise<CryptoKey> {
  const key = await importJWK(material, algorithm).catch(() => {
    // The message may contain a part of the key.
    throw new Error(`its members are not a valid key for ${algorithm}`);
  });
  if (key instanceof Uint8Array) {
    if (key.length < MIN_SECRET_BYTES) {
      throw new Error(`its secret is shorter than ${MIN_SECRET_BYTES} bytes`);
    }
    const hmac = { name: "HMAC", hash: "SHA-256" };
    return await crypto.subtle.importKey("raw", new Uint8Array(key), hmac, false, ["verify"]);
  }
  if ("modulusLength" in key.algorithm && Number(key.algorithm.modulusLength) < MIN_RSA_BITS) {
    throw new Error(`it is an RSA key with less than ${MIN_RSA_BITS} bits`);
  }
  return key;
}

function parse<T>(schema: z.ZodType<T>, jwk: unknown): T {
  const { data, error } = schema.safeParse(jwk);
  if (error === undefined) return data;
  const [issue] = error.issues;
  const member = issue?.path.join(".") ?? "";
  throw new Error(`${member === "" ? "" : `its "${member}": `}${issue?.message ?? "unknown"}`);
}
