import { type Certificate, makeCertificate } from "./certificates.ts";
import { freePort } from "./free_port.ts";
import { isMissing } from "./programs.ts";
import { readSource } from "./source_files.ts";
import { until } from "./until.ts";

export const PROXY_NAMES = ["nginx", "haproxy"] as const;
export type ProxyName = typeof PROXY_NAMES[number];

/** A proxy of {@link startProxy}. */
export interface Proxy extends AsyncDisposable {
  /** Its origin, such as `https://127.0.0.1:12345`. */
  readonly url: string;
  /** Its self-signed certificate. */
  readonly certificate: Certificate;
  /** What the program has printed and logged. */
  log(): Promise<string>;
}

interface Program {
  /** The file in `deploy/`. */
  readonly file: string;
  /** The folder of the certificate and of logs in that file. */
  readonly folders: readonly string[];
  readonly missing: boolean;
  args(config: string, folder: string): readonly string[];
}

const inShell = (command: string) => ["sh", "-c", `PATH="$PATH:/usr/sbin" command -v ${command}`];
const hint = (name: string) => `${name} is not installed: run \`apt-get install ${name}\``;

const PROGRAMS: Readonly<Record<ProxyName, Program>> = {
  nginx: {
    file: "nginx.conf",
    folders: ["/etc/nginx", "/var/log/nginx"],
    missing: isMissing(inShell("nginx"), hint("nginx")),
    args: (config, folder) => ["-c", config, "-g", `daemon off; pid ${folder}/pid;`],
  },
  haproxy: {
    file: "haproxy.cfg",
    folders: ["/etc/haproxy"],
    missing: isMissing(inShell("haproxy"), hint("haproxy")),
    args: (config) => ["-db", "-f", config],
  },
};

/** Whether the proxy's program is not installed: tests that need it are ignored. */
export function isProxyMissing(name: ProxyName): boolean {
  return PROGRAMS[name].missing;
}

/**
 * Runs a proxy with its file of `deploy/`, in which only ports, the host name and paths are replaced.
 * It listens on 127.0.0.1 and serves HTTP/2 and HTTP/1.1 over TLS with a certificate for it.
 *
 * @param backends the ports of two servers on 127.0.0.1, which need not run yet.
 * @param port of the proxy, for servers that must know it before. @default a free one
 */
export async function startProxy(
  name: ProxyName,
  backends: readonly number[],
  port?: number,
): Promise<Proxy> {
  const [one, two] = backends;
  if (one === undefined || two === undefined || backends.length > 2) {
    throw new Error(`the files of deploy/ have two servers, not ${backends.length}`);
  }
  const certificate = await makeCertificate();
  for (let tries = 0;; tries++) {
    const process = new ProxyProcess(name, await Deno.makeTempDir({ prefix: "weir_proxy_" }));
    try {
      const chosen = port ?? freePort();
      await process.start({ certificate, port: chosen, backends: [one, two] });
      return {
        url: `https://127.0.0.1:${chosen}`,
        certificate,
        log: () => process.log(),
        [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
      };
    } catch (cause) {
      await process[Symbol.asyncDispose]();
      // Another program may have taken a port in the meantime.
      if (tries === 4) throw cause;
    }
  }
}

interface ProxySettings {
  readonly certificate: Certificate;
  readonly port: number;
  readonly backends: readonly [number, number];
}

class ProxyProcess implements AsyncDisposable {
  readonly #name: ProxyName;
  readonly #folder: string;
  #process: Deno.ChildProcess | undefined;
  #reading: Promise<unknown> = Promise.resolve();
  #printed = "";

  constructor(name: ProxyName, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  async start(settings: ProxySettings): Promise<void> {
    const { file, args } = PROGRAMS[this.#name];
    const config = `${this.#folder}/${file}`;
    const { cert, key } = settings.certificate;
    await Deno.writeTextFile(`${this.#folder}/weir.crt`, cert);
    await Deno.writeTextFile(`${this.#folder}/weir.key`, key);
    await Deno.writeTextFile(`${this.#folder}/weir.pem`, `${cert}${key}`);
    await Deno.writeTextFile(config, this.#replaced(await readSource(`deploy/${file}`), settings));
    const process = new Deno.Command("sh", {
      args: [
        "-c",
        `PATH="$PATH:/usr/sbin" exec "$0" "$@"`,
        this.#name,
        ...args(config, this.#folder),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#process = process;
    this.#reading = Promise.all([this.#read(process.stdout), this.#read(process.stderr)]);
    let ended = false;
    void process.status.then(() => ended = true);
    await until(`${this.#name} listens`, async () => {
      if (ended) throw new Error(`${this.#name} did not start: ${await this.log()}`);
      return await accepts(settings.port);
    });
    // Another program may have the port, and this one is about to end.
    if (ended) throw new Error(`${this.#name} did not start: ${await this.log()}`);
  }

  async log(): Promise<string> {
    let text = this.#printed;
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (name.endsWith(".log")) text += await Deno.readTextFile(`${this.#folder}/${name}`);
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) {
      try {
        this.#process.kill("SIGTERM");
      } catch {
        // It has already exited.
      }
      await this.#process.status;
      await this.#reading;
    }
    await Deno.remove(this.#folder, { recursive: true });
  }

  #replaced(text: string, { port, backends: [one, two] }: ProxySettings): string {
    let config = text;
    const replace = (from: string | RegExp, to: string) => {
      const next = config.replaceAll(from, to);
      if (next === config) throw new Error(`deploy/ does not have ${from}`);
      config = next;
    };
    const addresses = { "80": `127.0.0.1:${freePort()}`, "443": `127.0.0.1:${port}` };
    for (const [from, to] of Object.entries(addresses)) {
      replace(new RegExp(`(?<=^ *(?:listen|bind) ):?${from}\\b`, "gm"), to);
    }
    replace("127.0.0.1:8001", `127.0.0.1:${one}`);
    replace("127.0.0.1:8002", `127.0.0.1:${two}`);
    replace("weir.example.com", "127.0.0.1");
    for (const from of PROGRAMS[this.#name].folders) replace(`${from}/`, `${this.#folder}/`);
    return config;
  }

  async #read(stream: Deno.SubprocessReadableStream): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#printed += text;
  }
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
