import type { Logger } from "../../lib/logger.ts";
import { listenQuic, type QuicListener } from "../../lib/quic_listener.ts";
import type { Server } from "../../lib/server.ts";
import { webTransportHandler } from "../../routes/webtransport.ts";

const SILENT: Logger = { info() {}, warn() {}, error() {} };

/**
 * Serves WebTransport for a server of this process, by default on the port number of HTTP.
 *
 * @param dataFolder keeps the certificate.
 * @throws {Error} if the UDP port is in use.
 */
export async function serveWebTransport(
  server: Server,
  httpAddr: Deno.NetAddr,
  dataFolder: string,
): Promise<QuicListener> {
  const listener = await listenQuic({
    config: {
      quic: server.config.quic ?? { host: undefined, port: undefined },
      port: 0,
      dataFolder,
    },
    httpAddr,
    offer: server.quicOffer,
    logger: SILENT,
    onRequest: webTransportHandler(server),
  });
  if (listener === undefined) throw new Error("the UDP port is in use");
  return listener;
}

/** A server of HTTP whose UDP port is free. */
export interface HttpWithUdp {
  readonly http: Deno.HttpServer<Deno.NetAddr>;
  /** Keeps the UDP port free until it is disposed of. */
  readonly reserved: Disposable;
}

type Serve = (
  addr: { readonly hostname: string; readonly port: number },
) => Deno.HttpServer<Deno.NetAddr>;

/** Listens on a TCP port whose number is free for UDP too: QUIC clients use any port. */
export async function listenWithUdp(serve: Serve): Promise<HttpWithUdp> {
  const hostname = "127.0.0.1";
  for (let tries = 1;; tries++) {
    const http = serve({ hostname, port: 0 });
    try {
      const { port } = http.addr;
      const socket = Deno.listenDatagram({ transport: "udp", hostname, port });
      let isFreed = false;
      const free = () => {
        if (!isFreed) socket.close();
        isFreed = true;
      };
      return { http, reserved: { [Symbol.dispose]: free } };
    } catch (cause) {
      await http.shutdown();
      if (!(cause instanceof Deno.errors.AddrInUse) || tries === 10) throw cause;
    }
  }
}
