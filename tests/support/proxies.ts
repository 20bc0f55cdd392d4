import { type Certificate, makeCertificate } from "./certificates.ts";
import { freePort } from "./free_port.ts";
import { isMissing } from "./programs.ts";
import { readSource } from "./source_files.ts";
import { until } from "./until.ts";

export const PROXY_NAMES = ["nginx", "haproxy", "caddy", "apache"] as const;
export type ProxyName = typeof PROXY_NAMES[number];

/** A proxy of {@link startProxy}. */
export interface Proxy extends AsyncDisposable {
  /** Its origin, such as `https://127.0.0.1:12345`. */
  readonly url: string;
  /** Where it redirects to HTTPS. */
  readonly plainUrl: string;
  /** Its self-signed certificate. */
  readonly certificate: Certificate;
  /** What the program has printed and logged. */
  log(): Promise<string>;
}

interface Program {
  /** @default the proxy's name */
  readonly program?: string;
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
  caddy: {
    file: "Caddyfile",
    folders: ["/etc/caddy"],
    missing: isMissing(inShell("caddy"), hint("caddy")),
    args: (config) => ["run", "--config", config, "--adapter", "caddyfile"],
  },
  apache: {
    program: "apache2",
    file: "apache.conf",
    folders: ["/etc/apache2", "/run/apache2", "/var/log/apache2"],
    missing: isMissing(inShell("apache2"), hint("apache2")),
    args: (config) => ["-DFOREGROUND", "-f", config],
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
      const [chosen, plainPort] = [port ?? freePort(), freePort()];
      await process.start({ certificate, port: chosen, plainPort, backends: [one, two] });
      return {
        url: `https://127.0.0.1:${chosen}`,
        plainUrl: `http://127.0.0.1:${plainPort}`,
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

const PORT =
  /(?<=\b(?:[Ll]isten |bind :|https?_port |VirtualHost \*:|localhost:|127\.0\.0\.1:))\d+/g;
const LISTEN = /\b(?:[Ll]isten|bind)(?: :?)(?=\d)/g;

interface ProxySettings {
  readonly certificate: Certificate;
  readonly port: number;
  readonly plainPort: number;
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
    const { program = this.#name, file, args } = PROGRAMS[this.#name];
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
        program,
        ...args(config, this.#folder),
      ],
      // Caddy keeps files below these.
      env: { XDG_CONFIG_HOME: this.#folder, XDG_DATA_HOME: this.#folder },
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
      return await serves(settings);
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

  #replaced(text: string, { port, plainPort, backends: [one, two] }: ProxySettings): string {
    const ports: Record<string, number> = {
      "80": plainPort,
      "443": port,
      "8001": one,
      "8002": two,
    };
    const missing = new Set(Object.keys(ports));
    let config = text
      .replaceAll(PORT, (digits) => {
        missing.delete(digits);
        return String(ports[digits] ?? freePort()); // such as the port of Caddy's administration
      })
      .replaceAll(LISTEN, (directive) => `${directive.split(" ")[0]} 127.0.0.1:`)
      .replaceAll("weir.example.com", "127.0.0.1");
    for (const folder of PROGRAMS[this.#name].folders) {
      if (!config.includes(`${folder}/`)) missing.add(folder);
      config = config.replaceAll(`${folder}/`, `${this.#folder}/`);
    }
    if (missing.size > 0) throw new Error(`deploy/ does not have ${[...missing].join(", ")}`);
    return config;
  }

  async #read(stream: Deno.SubprocessReadableStream): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#printed += text;
  }
}

/** Whether the proxy answers a TLS handshake: Apache listens before it reads all of its file. */
async function serves({ port, certificate }: ProxySettings): Promise<boolean> {
  const hostname = "127.0.0.1";
  try {
    using connection = await Deno.connectTls({ hostname, port, caCerts: [certificate.cert] });
    await connection.handshake();
    return true;
  } catch {
    return false;
  }
}
