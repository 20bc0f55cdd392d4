import { quote } from "./shared/problem.ts";

export interface TlsFiles {
  /** PEM: the certificate, followed by the intermediate ones. */
  readonly certPath: string;
  /** PEM: the certificate's private key, not encrypted. */
  readonly keyPath: string;
}

/** A certificate and its key as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate or key cannot be used. The message names the setting, never its content. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/** Reads the certificate and its key. @throws {CertificateError} */
export async function readKeyPair({ certPath, keyPath }: TlsFiles): Promise<KeyPair> {
  return {
    cert: await readPem("WEIR_TLS_CERT", certPath),
    key: await readPem("WEIR_TLS_KEY", keyPath),
  };
}

async function readPem(setting: string, path: string): Promise<string> {
  try {
    const text = await Deno.readTextFile(path);
    if (text.includes("-----BEGIN ")) return text;
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : cause instanceof Deno.errors.PermissionDenied
      ? "Weir has no permission to read it"
      : cause instanceof Deno.errors.IsADirectory || cause instanceof Deno.errors.InvalidData
      ? "it is not a text file"
      : undefined;
    if (why === undefined) throw cause;
    throw new CertificateError(`Cannot use ${quote(path)}, which ${setting} names: ${why}.`, {
      cause,
    });
  }
  throw new CertificateError(
    `Cannot use ${quote(path)}, which ${setting} names: it is not a PEM file.`,
  );
}

/** Explains an error of the TLS stack: its message shows which file it is about. */
export function explainTlsError(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const { message } = cause;
  const sentence = message.includes("KeyMismatch")
    ? "The key in WEIR_TLS_KEY does not belong to the certificate in WEIR_TLS_CERT."
    : /\bcertificate/i.test(message)
    ? "WEIR_TLS_CERT must name a PEM file: the certificate, then the intermediate ones."
    : /\bkey/i.test(message)
    ? "WEIR_TLS_KEY must name a PEM file with a private key that is not encrypted."
    : undefined;
  return sentence === undefined ? cause : new CertificateError(sentence, { cause });
}

/** Returns a text that differs for different pairs. */
export function textOf(pair: KeyPair | undefined): string {
  return pair === undefined ? "" : `${pair.cert}\n${pair.key}`;
}
