import { base64url, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { z } from "zod";
import { DEFAULT_TENANT } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import type { Grant } from "./authority.ts";
import { type Algorithm, ALGORITHMS, type VerificationKey } from "./jwk_set.ts";
import type { SigningKeys } from "./signing_keys.ts";
import { scopeSchema, tenantSchema } from "./scope.ts";

/** Guards against tokens that are expensive to refuse. */
export const MAX_TOKEN_CHARS = 8_192;
/** Guards against names that fill logs and lists of revocations. */
const MAX_NAME_CHARS = 256;

/** Three parts of base64url; the last one is empty in an unsigned token. */
const COMPACT = /^[\w-]+\.[\w-]*\.([\w-]*)$/;

const name = z.string().min(1).max(MAX_NAME_CHARS)
  // A key in the store would contain a different name.
  .refine((text) => text.isWellFormed(), "it is not well-formed Unicode");

const claimsSchema = z.object({
  exp: z.number(),
  iat: z.number().optional(),
  sub: name.optional(),
  jti: name.optional(),
  weir: scopeSchema.extend({ tenant: tenantSchema.optional() }),
});
type Claims = z.infer<typeof claimsSchema>;

export interface TokenVerifierOptions {
  readonly keys: SigningKeys;
  /** The required `iss`. */
  readonly issuer?: string | undefined;
  /** The required `aud`, or one of its values. */
  readonly audience?: string | undefined;
  /** The longest time from issue to expiry, in ms. */
  readonly maxLifetimeMs: number;
  /** How much clocks may differ, in ms. */
  readonly skewMs: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Verifies JWTs (RFC 7519) and returns their grants. */
export class TokenVerifier {
  readonly #keys: SigningKeys;
  readonly #issuer: string | undefined;
  readonly #audience: string | undefined;
  readonly #maxLifetimeMs: number;
  readonly #skewMs: number;
  readonly #now: () => number;

  constructor(options: TokenVerifierOptions) {
    this.#keys = options.keys;
    this.#issuer = options.issuer;
    this.#audience = options.audience;
    this.#maxLifetimeMs = options.maxLifetimeMs;
    this.#skewMs = options.skewMs;
    this.#now = options.now ?? Date.now;
  }

  /** @throws {Problem} `token_invalid`, `token_expired`, `keys_unavailable`; nothing else. */
  async verify(token: string): Promise<Grant> {
    const { algorithm, kid } = readHeader(token);
    const key = await this.#keys.find(algorithm, kid);
    const now = this.#now();
    const claims = readClaims(await this.#verifiedPayload(token, key, now));
    this.#checkTimes(claims, now);
    const { tenant = DEFAULT_TENANT, ...scope } = claims.weir;
    if (key.tenant !== undefined && key.tenant !== tenant) {
      throw invalid(`its key ${quote(key.kid)} may not sign for the tenant that it names`);
    }
    if (!this.#keys.knows(key.kid, key.fingerprint)) {
      throw invalid(`its key ${quote(key.kid)} was removed`);
    }
    return {
      tenant,
      kind: "token",
      subject: claims.sub,
      tokenId: claims.jti,
      keyId: key.kid,
      keyFingerprint: key.fingerprint,
      issuedAt: claims.iat === undefined ? undefined : claims.iat * 1_000,
      expiresAt: this.#expiryOf(claims),
      scope,
    };
  }

  async #verifiedPayload(token: string, key: VerificationKey, now: number): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, key.key, {
        algorithms: [key.algorithm],
        currentDate: new Date(now),
        clockTolerance: this.#skewMs / 1_000,
        requiredClaims: ["exp"],
        ...this.#issuer !== undefined && { issuer: this.#issuer },
        ...this.#audience !== undefined && { audience: this.#audience },
      });
      return payload;
    } catch (cause) {
      throw this.#problemOf(cause);
    }
  }

  /** Omits the error itself, which contains the claims. */
  #problemOf(cause: unknown): Problem {
    if (cause instanceof errors.JWTExpired) return expired();
    if (cause instanceof errors.JWTClaimValidationFailed) return invalid(this.#claimFault(cause));
    if (cause instanceof errors.JWSSignatureVerificationFailed) {
      return invalid("its signature is wrong");
    }
    return invalid("it is not a readable JWT");
  }

  #claimFault({ claim, reason }: errors.JWTClaimValidationFailed): string {
    if (reason === "missing") return `it has no ${quote(claim)}`;
    if (reason === "invalid") return `its ${quote(claim)} is not a number`;
    if (claim === "iss") return `its "iss" is not ${quote(this.#issuer ?? "")}`;
    if (claim === "aud") return `its "aud" is not ${quote(this.#audience ?? "")}`;
    return `its ${quote(claim)} is in the future`;
  }

  /** Checks what jose does not check, or only with a resolution of a second. */
  #checkTimes(claims: Claims, now: number): void {
    if (now >= this.#expiryOf(claims)) throw expired();
    const { exp, iat } = claims;
    if (iat !== undefined && iat * 1_000 > now + this.#skewMs) {
      throw invalid(`its "iat" is in the future`);
    }
    // iat and exp are by the same clock; without iat, the skew between clocks counts.
    const lifetimeMs = iat === undefined ? exp * 1_000 - now - this.#skewMs : (exp - iat) * 1_000;
    if (lifetimeMs <= this.#maxLifetimeMs) return;
    const seconds = Math.floor(this.#maxLifetimeMs / 1_000);
    throw invalid(`it is valid for too long: at most ${seconds} s from "iat" to "exp"`);
  }

  #expiryOf({ exp }: Claims): number {
    return exp * 1_000 + this.#skewMs;
  }
}

interface Header {
  readonly algorithm: Algorithm;
  readonly kid: string | undefined;
}

function readHeader(token: string): Header {
  if (token.length > MAX_TOKEN_CHARS) {
    throw invalid(`it has ${token.length} characters; at most ${MAX_TOKEN_CHARS} are allowed`);
  }
  const [, signature] = COMPACT.exec(token) ?? [];
  if (signature === undefined || !isCanonical(signature)) {
    throw invalid("it is not a JWT: three parts of base64url separated by dots");
  }
  const { alg, kid, crit } = decodeHeader(token);
  const algorithm = ALGORITHMS.find((name) => name === alg);
  if (algorithm === undefined) {
    const given = typeof alg === "string" ? quote(alg) : "not a string";
    throw invalid(`its "alg" is ${given}, and must be one of ${ALGORITHMS.join(", ")}`);
  }
  if (crit !== undefined) throw invalid(`its header has "crit", and no extensions are supported`);
  if (kid !== undefined && typeof kid !== "string") throw invalid(`its "kid" is not a string`);
  return { algorithm, kid };
}

function decodeHeader(token: string): Readonly<Record<string, unknown>> {
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw invalid("its header is not a JSON object in base64url");
  }
}

/** Decoding ignores unused bits, so that one signature would have several texts. */
function isCanonical(text: string): boolean {
  try {
    return base64url.encode(base64url.decode(text)) === text;
  } catch {
    return false;
  }
}

function readClaims(payload: JWTPayload): Claims {
  if (payload["weir"] === undefined) {
    throw invalid(`it has no "weir" claim, which lists its rights`);
  }
  const { data, error } = claimsSchema.safeParse(payload);
  if (error === undefined) return data;
  const [issue] = error.issues;
  const member = quote(issue?.path.join(".") ?? "");
  if (issue?.code === "unrecognized_keys") throw invalid(`its ${member} has an unknown member`);
  throw invalid(`its ${member} is wrong: ${issue?.message ?? "unknown"}`);
}

function invalid(fault: string): Problem {
  return new Problem("token_invalid", `Cannot use the token: ${fault}.`);
}

function expired(): Problem {
  return new Problem("token_expired", "The token has expired.");
}
