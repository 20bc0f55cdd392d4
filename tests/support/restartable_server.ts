import { type Config, parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import { openServer, type Server } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import { serveErrorHandler } from "../../routes/serve_error.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

export interface RestartableServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** In ms; may be shorter than settings allow, so that dead peers are found quickly. */
  readonly heartbeat?: number;
}

/** A server in this process, on a file, which stops and starts within milliseconds. */
export class RestartableServer implements AsyncDisposable {
  readonly #config: Config;
  readonly #directory: string;
  // Deno 2.9.6 breaks channels that are opened right after the last one of a process closes.
  readonly #last = new BroadcastChannel("restartable_server");
  #running: { readonly server: Server; readonly http: Deno.HttpServer<Deno.NetAddr> } | undefined;

  private constructor(directory: string, config: Config) {
    this.#directory = directory;
    this.#config = config;
  }

  static async start(
    { env = {}, heartbeat }: RestartableServerOptions = {},
  ): Promise<RestartableServer> {
    const directory = await Deno.makeTempDir({ prefix: "weir_restartable_" });
    const config = parseConfig({ WEIR_KV: `${directory}/weir.db`, ...env });
    const server = new RestartableServer(directory, {
      ...config,
      heartbeatMs: heartbeat ?? config.heartbeatMs,
    });
    await server.start();
    return server;
  }

  /** A different port after each start. */
  get port(): number {
    if (this.#running === undefined) throw new Error("the server does not run");
    return this.#running.http.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const server = await openServer(this.#config, SILENT);
    const app = createApp(server);
    const options = {
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      onError: serveErrorHandler(SILENT),
    };
    this.#running = { server, http: Deno.serve(options, app.fetch) };
  }

  /** Says goodbye and stops, as after a signal. */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { server, http } = this.#running;
    this.#running = undefined;
    await server.disconnectClients();
    await http.shutdown();
    await server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#last.close();
    await Deno.remove(this.#directory, { recursive: true });
  }
}
