import type { TlsFiles } from "../../lib/certificate.ts";
import { until } from "./until.ts";

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a self-signed certificate for 127.0.0.1. */
export async function makeCertificate(): Promise<Certificate> {
  const folder = await Deno.makeTempDir({ prefix: "weir_certificate_" });
  try {
    // deno-fmt-ignore
    const args = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=weir",
      "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
    ];
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return {
      cert: await Deno.readTextFile(`${folder}/cert.pem`),
      key: await Deno.readTextFile(`${folder}/key.pem`),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * A folder with a certificate's two files behind a symbolic link, as Kubernetes mounts secrets, so
 * that both files change in one step.
 */
export class CertificateFolder implements AsyncDisposable, TlsFiles {
  readonly #folder: string;
  #version = 0;
  #looks = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(certificate: Certificate): Promise<CertificateFolder> {
    const folder = new CertificateFolder(await Deno.makeTempDir({ prefix: "weir_tls_" }));
    await folder.install(certificate);
    return folder;
  }

  get certPath(): string {
    this.#looks++;
    return `${this.#folder}/current/tls.crt`;
  }

  get keyPath(): string {
    return `${this.#folder}/current/tls.key`;
  }

  /** Resolves after the certificate's path has been read `count` more times. */
  async looks(count: number): Promise<void> {
    const enough = this.#looks + count;
    await until(`the files were read ${count} times`, () => this.#looks >= enough);
  }

  /** Replaces both files by those of `certificate`. */
  async install({ cert, key }: Certificate): Promise<void> {
    const version = `${this.#folder}/${++this.#version}`;
    await Deno.mkdir(version);
    await Deno.writeTextFile(`${version}/tls.crt`, cert);
    await Deno.writeTextFile(`${version}/tls.key`, key);
    await Deno.symlink(version, `${version}.link`);
    await Deno.rename(`${version}.link`, `${this.#folder}/current`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
