import { type Config, parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import type { QuicListener } from "../../lib/quic_listener.ts";
import { SharedQuicOffer } from "../../lib/quic_offer.ts";
import { openServer, type Server } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import { serveErrorHandler } from "../../routes/serve_error.ts";
import { listenWithUdp, serveWebTransport } from "./serve_webtransport.ts";
import "./open_broadcast_channel.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

export interface RestartableServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** In ms; may be shorter than settings allow, so that dead peers are found quickly. */
  readonly heartbeat?: number;
  /** Whether it serves WebTransport too, on the port number of HTTP. @default false */
  readonly hasWebTransport?: boolean;
}

interface RunningServer {
  readonly server: Server;
  readonly http: Deno.HttpServer<Deno.NetAddr>;
  readonly quic: QuicListener | undefined;
}

/** A server in this process, on a file, which stops and starts within milliseconds. */
export class RestartableServer implements AsyncDisposable {
  readonly #config: Config;
  readonly #directory: string;
  readonly #hasWebTransport: boolean;
  #running: RunningServer | undefined;

  private constructor(directory: string, config: Config, hasWebTransport: boolean) {
    this.#directory = directory;
    this.#config = config;
    this.#hasWebTransport = hasWebTransport;
  }

  static async start(
    { env = {}, heartbeat, hasWebTransport = false }: RestartableServerOptions = {},
  ): Promise<RestartableServer> {
    const directory = await Deno.makeTempDir({ prefix: "weir_restartable_" });
    const config = parseConfig({ WEIR_KV: `${directory}/weir.db`, ...env });
    const heartbeatMs = heartbeat ?? config.heartbeatMs;
    const server = new RestartableServer(directory, { ...config, heartbeatMs }, hasWebTransport);
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
    // Servers of one process share an offer otherwise.
    const quicOffer = new SharedQuicOffer(crypto.randomUUID());
    const server = { ...await openServer(this.#config, SILENT), quicOffer };
    const app = createApp(server);
    const options = { onListen() {}, onError: serveErrorHandler(SILENT) };
    const { http, reserved } = await listenWithUdp((addr) =>
      Deno.serve({ ...options, ...addr }, app.fetch)
    );
    reserved[Symbol.dispose]();
    const quic = this.#hasWebTransport
      ? await serveWebTransport(server, http.addr, this.#directory)
      : undefined;
    this.#running = { server, http, quic };
  }

  /** Says goodbye and stops, as after a signal. */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { server, http, quic } = this.#running;
    this.#running = undefined;
    await server.disconnectClients();
    await Promise.all([http.shutdown(), quic?.close()]);
    await server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#directory, { recursive: true });
  }
}
