import type { KeyPair } from "./certificate.ts";
import { CertificateKeeper } from "./certificate_keeper.ts";
import type { Config } from "./config.ts";
import { errorFields, type Logger } from "./logger.ts";
import { serveWebTransport } from "./quic/server.ts";
import type { WebTransportRequest } from "./quic/session.ts";
import type { SharedQuicOffer } from "./quic_offer.ts";

interface QuicListenerOptions {
  readonly config: Pick<Config, "quic" | "port" | "dataFolder">;
  /** Where HTTP listens. */
  readonly httpAddr: { readonly hostname: string; readonly port: number };
  /** The certificate of HTTP. Undefined for a self-signed one. */
  readonly pair?: KeyPair | undefined;
  readonly offer: SharedQuicOffer;
  readonly logger: Logger;
  onRequest(request: WebTransportRequest): void;
}

/** Serves WebTransport over UDP, in addition to HTTP. */
export interface QuicListener {
  /** Gives new connections the new certificate of HTTP. Open ones stay. */
  useCertificate(pair: KeyPair): void;
  /** Closes all sessions and stops listening. */
  close(): Promise<void>;
}

/**
 * Listens for WebTransport as the configuration says, and offers it to clients. It uses the
 * certificate of HTTP, else a self-signed one, which it renews. Never rejects: without WebTransport
 * a server works too, so the log says why there is none.
 *
 * @returns undefined if this isolate serves no WebTransport.
 */
export async function listenQuic(options: QuicListenerOptions): Promise<QuicListener | undefined> {
  const { config, httpAddr, logger } = options;
  if (config.quic === undefined) return undefined;
  const hostname = config.quic.host ?? httpAddr.hostname;
  const port = config.quic.port ?? httpAddr.port;
  try {
    return await listenOn(options, { hostname, port });
  } catch (cause) {
    // A free port was asked for: that of HTTP is not free for UDP.
    const isRandom = config.quic.port === undefined && config.port === 0 && port !== 0;
    if (isRandom && cause instanceof Deno.errors.AddrInUse) {
      return await listenQuic({
        ...options,
        config: { ...config, quic: { host: hostname, port: 0 } },
      });
    }
    explain(cause, port, logger);
    return undefined;
  }
}

function explain(cause: unknown, port: number, logger: Logger): void {
  if (cause instanceof Deno.errors.NotSupported) {
    logger.info("there is no WebTransport, because this runtime has no QUIC");
  } else if (cause instanceof Deno.errors.AddrInUse) {
    const message = "there is no WebTransport, because its UDP port is in use: set WEIR_QUIC";
    logger.warn(message, { port });
  } else {
    logger.warn("there is no WebTransport: check WEIR_QUIC", errorFields(cause));
  }
}

/** A certificate, with its hash if clients accept it for that only. */
type Certificate = KeyPair & { readonly hash?: string };

function listenWith(
  certificate: Certificate,
  { httpAddr, offer, logger, onRequest }: QuicListenerOptions,
  address: { readonly hostname: string; readonly port: number },
): QuicListener {
  const server = serveWebTransport({
    ...address,
    pair: certificate,
    onRequest,
    onError: (cause) => logger.error("WebTransport failed", errorFields(cause)),
  });
  const { hostname, port } = server.addr;
  const announce = ({ hash }: Certificate) => {
    offer.announce({
      hostname,
      port,
      httpPort: httpAddr.port,
      ...hash !== undefined && { certificateHash: hash },
    });
  };
  announce(certificate);
  logger.info("WebTransport listening", { hostname, udpPort: port });
  return {
    useCertificate(certificate: Certificate) {
      try {
        server.useCertificate(certificate);
        announce(certificate);
      } catch (cause) {
        logger.warn("WebTransport cannot use the new certificate", errorFields(cause));
      }
    },
    async close() {
      offer.withdraw();
      await server.close();
    },
  };
}

async function listenOn(
  options: QuicListenerOptions,
  address: { readonly hostname: string; readonly port: number },
): Promise<QuicListener> {
  const { config, pair, logger } = options;
  if (pair !== undefined) return listenWith(pair, options, address);
  using opened = new DisposableStack();
  const keeper = opened.use(
    await CertificateKeeper.open({
      folder: config.dataFolder,
      onRenewed: (certificate) => {
        listener.useCertificate(certificate);
        logger.info("the certificate for WebTransport was renewed");
      },
      onUnstored: (cause) => {
        const message = "the certificate for WebTransport is not stored: a restart makes another";
        logger.warn(message, errorFields(cause));
      },
    }),
  );
  const listener = listenWith(keeper.current, options, address);
  const resources = opened.move();
  return {
    ...listener,
    async close() {
      resources.dispose();
      await listener.close();
    },
  };
}
