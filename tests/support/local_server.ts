import { type Config, parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import { openServer, type Server } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import { serveErrorHandler } from "../../routes/serve_error.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

/** A server in this process, in memory, on its own port. Tests can access its parts. */
export class LocalServer implements AsyncDisposable {
  readonly server: Server;
  readonly #http: Deno.HttpServer<Deno.NetAddr>;

  private constructor(server: Server, http: Deno.HttpServer<Deno.NetAddr>) {
    this.server = server;
    this.#http = http;
  }

  /** @param env further settings; the store is always in memory. */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<LocalServer> {
    const config: Config = parseConfig({ WEIR_KV: ":memory:", ...env });
    const server = await openServer(config, SILENT);
    const app = createApp(server);
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      onError: serveErrorHandler(SILENT),
    };
    const http = Deno.serve(options, app.fetch);
    server.quicOffer.listening(http.addr.port);
    return new LocalServer(server, http);
  }

  get port(): number {
    return this.#http.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.quicOffer.withdraw();
    await this.server.disconnectClients();
    await this.#http.shutdown();
    await this.server.close();
  }
}
