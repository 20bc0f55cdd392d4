/** Wraps the browser's `fetch` and `WebSocket` and records when data last arrived. */
export class ServerActivity {
  #lastAt: number | undefined;

  /** `performance.now()` when data last arrived. */
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

  /** A `WebSocket` class that records messages. */
  readonly WebSocket = this.#socketClass();

  #socketClass(): typeof WebSocket {
    const record = () => this.#record();
    // Never instantiated on the server, which only renders the island.
    return class RecordingSocket extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener("message", record);
      }
    };
  }

  #record(): void {
    this.#lastAt = performance.now();
  }
}
