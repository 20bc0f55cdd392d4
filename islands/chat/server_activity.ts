/** The browser's `fetch` and `WebSocket`, which remember when something last came by them. */
export class ServerActivity {
  #lastAt: number | undefined;

  /** `performance.now()` of then. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init);
    this.#record();
    if (response.body === null) return response;
    const { status, statusText, headers } = response;
    const body = response.body.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (chunk, controller) => {
          this.#record();
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(body, { status, statusText, headers });
  };

  /** A `WebSocket` class of which that is true. */
  readonly WebSocket = this.#socketClass();

  #socketClass(): typeof WebSocket {
    const hear = () => this.#record();
    // On the server, which renders the island, nobody connects.
    return class HeardSocket extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener("message", hear);
      }
    };
  }

  #record(): void {
    this.#lastAt = performance.now();
  }
}
