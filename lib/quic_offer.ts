/** Where this process serves WebTransport. */
export interface QuicOffer {
  /** The IP address that it listens on. */
  readonly hostname: string;
  readonly port: number;
  /** The SHA-256 hash of a self-signed certificate, in base64. Undefined for other certificates. */
  readonly certificateHash?: string;
}

const PREFIX = "WEIR_INTERNAL_QUIC_";

/**
 * Tells all isolates of this process where one of them serves WebTransport, since clients may ask
 * any of them. They share the process's environment, and the port of HTTP.
 */
export class SharedQuicOffer {
  #httpPort: number | undefined;

  /** The port of HTTP, once that listens. */
  get httpPort(): number | undefined {
    return this.#httpPort;
  }

  /** Undefined while no isolate serves WebTransport. */
  get current(): QuicOffer | undefined {
    const text = this.#httpPort === undefined ? undefined : Deno.env.get(this.#name);
    return text === undefined || text === "" ? undefined : JSON.parse(text);
  }

  /** Must be called before the other methods have an effect. */
  listening(httpPort: number): void {
    this.#httpPort = httpPort;
  }

  announce(offer: QuicOffer): void {
    Deno.env.set(this.#name, JSON.stringify(offer));
  }

  withdraw(): void {
    Deno.env.delete(this.#name);
  }

  /** The process id distinguishes this process from a parent whose environment it inherits. */
  get #name(): string {
    return `${PREFIX}${Deno.pid}_${this.#httpPort}`;
  }
}
