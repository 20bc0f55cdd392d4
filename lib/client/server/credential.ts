import { WeirError } from "../core/weir_error.ts";

/** The text of a token or an API key. Others cannot be in a header. */
const CREDENTIAL = /^[\x21-\x7e]+$/;

/** An API key or a token, or a function that returns one. */
export type ProducerAuth = string | (() => string | Promise<string>);

/** Returns the headers of a publish of `contentType`. @throws {WeirError} `auth_failed` */
export async function publishHeaders(
  auth: ProducerAuth | undefined,
  contentType: string,
): Promise<Readonly<Record<string, string>>> {
  const credential = await credentialOf(auth);
  return {
    "Content-Type": contentType,
    ...credential !== undefined && { Authorization: `Bearer ${credential}` },
  };
}

/** @throws {WeirError} `auth_failed`, without the credential */
async function credentialOf(auth: ProducerAuth | undefined): Promise<string | undefined> {
  if (auth === undefined) return undefined;
  let credential: unknown;
  try {
    credential = typeof auth === "function" ? await auth() : auth;
  } catch (cause) {
    throw new WeirError("auth_failed", "`auth` threw.", { cause });
  }
  // A key from a file often ends with a line end.
  const text = typeof credential === "string" ? credential.trim() : "";
  if (CREDENTIAL.test(text)) return text;
  throw new WeirError("auth_failed", "`auth` is neither an API key nor a token.");
}
