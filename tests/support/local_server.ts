import { type Config, parseConfig } from "../../lib/config.ts";
import type { Logger } from "../../lib/logger.ts";
import type { QuicListener } from "../../lib/quic_listener.ts";
import { SharedQuicOffer } from "../../lib/quic_offer.ts";
import { openServer, type Server } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import { serveErrorHandler } from "../../routes/serve_error.ts";
import { DescribedAnswers } from "./described_answers.ts";
import type { WebTransportAddress } from "./raw_webtransport.ts";
import { type HttpWithUdp, listenWithUdp, serveWebTransport } from "./serve_webtransport.ts";
import "./open_broadcast_channel.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

/**
 * A server in this process, in memory, on its own port. Tests can access its parts. When it is
 * disposed of, it throws if it has answered something that the description of its routes lacks.
 */
export class LocalServer implements AsyncDisposable {
  static readonly #running = new Map<string, LocalServer>();
  readonly server: Server;
  readonly #answers: DescribedAnswers;
  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  /** Keeps the UDP port with the number of the HTTP port free for WebTransport. */
  readonly #reserved: Disposable;
  #webTransport: (WebTransportAddress & { readonly listener: QuicListener }) | undefined;
  #starting: Promise<void> | undefined;

  private constructor(
    server: Server,
    answers: DescribedAnswers,
    { http, reserved }: HttpWithUdp,
  ) {
    this.server = server;
    this.#answers = answers;
    this.#http = http;
    this.#reserved = reserved;
  }

  /**
   * @param env further settings; the store is always in memory.
   * @param changes what the settings do not allow
   */
  static async start(
    env: Readonly<Record<string, string>> = {},
    changes: Partial<Config> = {},
  ): Promise<LocalServer> {
    // Tests tell the client's timers apart by their length, and it waits 10 s elsewhere too.
    const settings = parseConfig({ WEIR_KV: ":memory:", WEIR_HEARTBEAT: "15s", ...env });
    const config: Config = { ...settings, ...changes };
    // Servers of one process share an offer otherwise.
    const quicOffer = new SharedQuicOffer(crypto.randomUUID());
    const server = { ...await openServer(config, SILENT), quicOffer };
    const app = createApp(server);
    const answers = new DescribedAnswers();
    const handler = answers.checked(app.fetch);
    const options = { onListen() {}, onError: serveErrorHandler(SILENT) };
    const local = new LocalServer(
      server,
      answers,
      await listenWithUdp((addr) => Deno.serve({ ...options, ...addr }, handler)),
    );
    LocalServer.#running.set(local.url, local);
    return local;
  }

  /** Returns the server at `url`, or undefined if that is none of this process. */
  static at(url: string): LocalServer | undefined {
    return LocalServer.#running.get(url);
  }

  get port(): number {
    return this.#http.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Where WebTransport is. */
  get webTransport(): WebTransportAddress {
    if (this.#webTransport === undefined) throw new Error("this server has no WebTransport");
    return this.#webTransport;
  }

  /** Serves WebTransport too, by default on the port number of HTTP, with a certificate of its own. */
  async serveWebTransport(): Promise<void> {
    await (this.#starting ??= this.#serveWebTransport());
  }

  async #serveWebTransport(): Promise<void> {
    this.#reserved[Symbol.dispose]();
    const dataFolder = await Deno.makeTempDir({ prefix: "weir_local_" });
    try {
      const listener = await serveWebTransport(this.server, this.#http.addr, dataFolder);
      const port = this.server.quicOffer.current?.port;
      if (port === undefined) throw new Error("WebTransport is not offered");
      const pem = await Deno.readTextFile(`${dataFolder}/webtransport.pem`);
      const cert = pem.slice(0, pem.indexOf("-----BEGIN PRIVATE KEY"));
      this.#webTransport = { port, cert, listener };
    } finally {
      await Deno.remove(dataFolder, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    LocalServer.#running.delete(this.url);
    await this.server.disconnectClients();
    this.#reserved[Symbol.dispose]();
    await Promise.all([this.#http.shutdown(), this.#webTransport?.listener.close()]);
    await this.server.close();
    this.#answers.requireDescribed();
  }
}
