import { makeCertificate } from "./certificates.ts";
import { freePort } from "./free_port.ts";
import { isMissing } from "./programs.ts";
import { until } from "./until.ts";

/** Tests that need coturn are ignored where this is true. */
export const COTURN_MISSING = isMissing(
  ["sh", "-c", "command -v turnserver"],
  "coturn is not installed: run `apt-get install coturn`",
);

const DOCS = new URL("../../docs/webrtc.md", import.meta.url);
const LOOPBACK_DENIED = "denied-peer-ip=127.0.0.0-127.255.255.255\n";

interface CoturnOptions {
  readonly secret: string;
  /** Whether relays may reach 127.0.0.1, which the docs deny. */
  readonly allowsLoopback: boolean;
}

/** A TURN server with the configuration of docs/webrtc.md, on loopback. */
export class Coturn implements AsyncDisposable {
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #folder: string;
  #log = "";

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
    // coturn buffers its log unless stdbuf makes it write each line.
    const command = ["-oL", "turnserver", "-c", `${folder}/turnserver.conf`];
    this.#process = new Deno.Command("stdbuf", {
      args: [...command, "--log-file=stdout", "--verbose"],
      cwd: folder,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reading = this.#read();
  }

  static async start({ secret, allowsLoopback }: CoturnOptions): Promise<Coturn> {
    const [, text = ""] = /^```ini\n(.*?)^```$/ms.exec(await Deno.readTextFile(DOCS)) ?? [];
    if (!text.includes(LOOPBACK_DENIED)) throw new Error("the docs do not deny loopback");
    const folder = await Deno.makeTempDir({ prefix: "weir_coturn_" });
    const { cert, key } = await makeCertificate();
    await Deno.writeTextFile(`${folder}/cert.pem`, cert);
    await Deno.writeTextFile(`${folder}/key.pem`, key);
    const port = freePort();
    const config = text
      .replace("listening-port=3478", `listening-port=${port}`)
      .replace("tls-listening-port=5349", `tls-listening-port=${freePort()}`)
      .replaceAll("/etc/coturn", folder)
      .replace("the-value-of-WEIR_TURN_SECRET", secret)
      .replace(LOOPBACK_DENIED, allowsLoopback ? "allow-loopback-peers\n" : LOOPBACK_DENIED) +
      `listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\npidfile=${folder}/pid\nuserdb=${folder}/db\n`;
    await Deno.writeTextFile(`${folder}/turnserver.conf`, config);
    const server = new Coturn(port, folder);
    await server.logged(/UDP listener opened on: 127\.0\.0\.1/);
    return server;
  }

  /** Resolves once the server has logged `what`. */
  async logged(what: RegExp): Promise<void> {
    await until(`coturn logs ${what}`, () => what.test(this.#log));
  }

  async #read(): Promise<void> {
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#reading;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Returns a credential, as Weir issues them. @param expiry seconds since 1970. */
export async function turnCredential(
  secret: string,
  expiry: number,
  user = "test",
): Promise<{ readonly username: string; readonly credential: string }> {
  const username = `${expiry}:${user}`;
  const usage = { name: "HMAC", hash: "SHA-1" };
  const bytes = (text: string) => new TextEncoder().encode(text);
  const key = await crypto.subtle.importKey("raw", bytes(secret), usage, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign(usage, key, bytes(username)));
  return { username, credential: mac.toBase64() };
}
