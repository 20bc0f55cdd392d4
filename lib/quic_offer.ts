/** The path of WebTransport connections. */
export const WEBTRANSPORT_PATH = "/v1/webtransport";

/** Where this process serves WebTransport. */
export interface QuicOffer {
  /** The IP address that it listens on. */
  readonly hostname: string;
  readonly port: number;
  /** The port of HTTP. */
  readonly httpPort: number;
  /** The SHA-256 hash of a self-signed certificate, in base64. Undefined for other certificates. */
  readonly certificateHash?: string;
}

const PREFIX = "WEIR_INTERNAL_QUIC_";

/**
 * Tells all isolates of this process where one of them serves WebTransport, since clients may ask
 * any of them. They share the process's environment.
 */
export class SharedQuicOffer {
  readonly #variable: string;

  /** @param server tells servers of one process apart. */
  constructor(server = "") {
    // The process id distinguishes this process from a parent whose environment it inherits.
    this.#variable = `${PREFIX}${Deno.pid}_${server}`;
  }

  /** Undefined while no isolate serves WebTransport. */
  get current(): QuicOffer | undefined {
    const text = Deno.env.get(this.#variable);
    return text === undefined ? undefined : JSON.parse(text);
  }

  announce(offer: QuicOffer): void {
    Deno.env.set(this.#variable, JSON.stringify(offer));
  }

  withdraw(): void {
    Deno.env.delete(this.#variable);
  }
}
