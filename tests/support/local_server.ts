import { type Config, parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import { openWeir, type Weir } from "../../lib/weir.ts";
import { createApp } from "../../routes/app.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

/** A Weir in this process, in memory, on a port of its own: a test can look into it. */
export class LocalServer implements AsyncDisposable {
  readonly weir: Weir;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(weir: Weir, server: Deno.HttpServer<Deno.NetAddr>) {
    this.weir = weir;
    this.#server = server;
  }

  /** @param env beside the store, which is in memory. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<LocalServer> {
    const config: Config = parseConfig({ WEIR_KV: ":memory:", ...env });
    const weir = await openWeir(config, SILENT);
    const app = createApp(weir);
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    return new LocalServer(weir, Deno.serve(options, app.fetch));
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.weir.leave();
    await this.#server.shutdown();
    await this.weir.close();
  }
}
