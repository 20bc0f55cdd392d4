import { createPrivateKey, X509Certificate } from "node:crypto";
import { replaceFile } from "./replace_file.ts";
import {
  describeCertificate,
  LIFETIME_MS,
  makeSelfSignedCertificate,
  type SelfSignedCertificate,
} from "./self_signed_certificate.ts";

const HOUR_MS = 60 * 60 * 1_000;
const FILE = "webtransport.pem";
/** A certificate is replaced when it is valid for less than this: three days. */
export const MIN_REMAINING_MS = 72 * HOUR_MS;
const CHECK_INTERVAL_MS = HOUR_MS;

interface KeeperOptions {
  /** The folder for the file with the certificate and its key. Other processes may use it too. */
  readonly folder: string;
  /** Called when new connections must get another certificate. */
  onRenewed(certificate: SelfSignedCertificate): void;
  /** Called once if the file cannot be written. The certificate is then kept in memory. */
  onUnstored(cause: unknown): void;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/**
 * Keeps a self-signed certificate in a file that only its owner can read, and replaces it three days
 * before it expires. A missing or damaged file is replaced. Processes that share the file may each
 * make a certificate; each replaces the file as a whole, and within an hour all use the last one.
 */
export class CertificateKeeper implements Disposable {
  readonly #options: KeeperOptions;
  readonly #now: () => number;
  #current: SelfSignedCertificate | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The check under way. Two at once would each make a certificate. */
  #checking: Promise<void> | undefined;
  #isUnstored = false;

  private constructor(options: KeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Reads the certificate, or makes one. */
  static async open(options: KeeperOptions): Promise<CertificateKeeper> {
    const keeper = new CertificateKeeper(options);
    keeper.#current = await keeper.#readOrMake();
    keeper.#timer = setInterval(() => void keeper.check(), CHECK_INTERVAL_MS);
    return keeper;
  }

  /** The certificate that new connections get. */
  get current(): SelfSignedCertificate {
    if (this.#current === undefined) throw new Error("the keeper is not open");
    return this.#current;
  }

  /** Replaces the certificate if it is due, or if another process has replaced it. */
  check(): Promise<void> {
    return this.#checking ??= this.#check().finally(() => this.#checking = undefined);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #check(): Promise<void> {
    const found = await this.#readOrMake();
    if (found.hash === this.#current?.hash) return;
    this.#current = found;
    if (this.#timer !== undefined) this.#options.onRenewed(found);
  }

  async #readOrMake(): Promise<SelfSignedCertificate> {
    const { folder } = this.#options;
    const path = `${folder}/${FILE}`;
    const stored = await readCertificate(path);
    if (stored !== undefined && this.#lasts(stored)) return stored;
    const current = this.#current;
    const made = current !== undefined && this.#lasts(current)
      ? current // its file was removed or damaged
      : await makeSelfSignedCertificate(this.#now());
    try {
      await Deno.mkdir(folder, { recursive: true });
      await replaceFile(path, made.cert + made.key, 0o600);
    } catch (cause) {
      if (!this.#isUnstored) this.#options.onUnstored(cause);
      this.#isUnstored = true;
    }
    return made;
  }

  /** A certificate that lasts too long is from a clock that was ahead, so it is not valid yet. */
  #lasts({ expiresAt }: SelfSignedCertificate): boolean {
    const remainingMs = expiresAt - this.#now();
    return remainingMs >= MIN_REMAINING_MS && remainingMs <= LIFETIME_MS;
  }
}

/** Returns undefined if the file is missing or damaged. */
async function readCertificate(path: string): Promise<SelfSignedCertificate | undefined> {
  try {
    const text = await Deno.readTextFile(path);
    const x509 = new X509Certificate(text);
    const key = text.slice(text.indexOf("-----BEGIN PRIVATE KEY"));
    return x509.checkPrivateKey(createPrivateKey(key))
      ? await describeCertificate(x509, key)
      : undefined;
  } catch {
    return undefined;
  }
}
