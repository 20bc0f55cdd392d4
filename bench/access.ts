/** Keys and tokens for a server under load. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { LoadOptions } from "./options.ts";
import type { ScenarioLoad } from "./scenarios.ts";

/** Publishers of the flooding tenant. */
const FLOOD_IN_FLIGHT = 64;
/** Keeps the measured load below all limits. The flood reaches those of its tenant. */
const UNLIMITED = ["publishes=1000000", "bytes=1GiB", "subscribes=1000000", "connections=100000"];

export interface BenchAccess {
  /** Settings of the server. */
  readonly settings: Readonly<Record<string, string>>;
  readonly tokens: Partial<LoadOptions>;
}

export async function makeAccess(kind: NonNullable<ScenarioLoad["access"]>): Promise<BenchAccess> {
  if (kind === "open") return { settings: {}, tokens: {} };
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  const jwk = { ...await exportJWK(publicKey), alg: "EdDSA", kid: "bench" };
  const scopes = kind === "flood" ? ["credential", "address"] : ["credential", "address", "tenant"];
  const limits = scopes.flatMap((scope) => UNLIMITED.map((limit) => `${scope}.${limit}`));
  const sign = (tenant: string) =>
    new SignJWT({ weir: { tenant, publish: ["bench-*"], subscribe: ["bench-*"] } })
      .setProtectedHeader({ alg: "EdDSA", kid: "bench" })
      .setIssuedAt().setExpirationTime("1h").setSubject("bench").sign(privateKey);
  const token = await sign("measured");
  const flood = { floodToken: await sign("flooding"), floodInFlight: FLOOD_IN_FLIGHT };
  return {
    settings: { WEIR_JWKS: JSON.stringify({ keys: [jwk] }), WEIR_LIMITS: limits.join(" ") },
    tokens: kind === "flood" ? { token, ...flood } : { token },
  };
}
