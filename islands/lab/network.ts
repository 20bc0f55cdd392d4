import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import type { Lane, LaneSpan } from "./lane.ts";
import { DelayQueue } from "./delay_queue.ts";

const utf8 = new TextEncoder();
/** Where nobody listens. */
const UNREACHABLE_PATH = "/v1/lab-cut";

/**
 * The network of one lane: the browser's `fetch` and `WebSocket`, counted, and with a switch and a
 * brake. What it does is what a bad network does.
 */
export class LabNetwork implements Pick<Platform, "fetch" | "WebSocket" | "watch"> {
  readonly #lane: Lane;
  readonly #delays = new DelayQueue();
  /** Each ends a connection that is open. */
  readonly #open = new Set<() => void>();
  readonly #watchers = new Set<() => void>();
  #isCut = false;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  /** Ends what is open and refuses what comes, until {@link resume}. */
  cut(): void {
    this.#isCut = true;
    this.#lane.cut(performance.now());
    for (const end of [...this.#open]) end();
  }

  resume(): void {
    this.#isCut = false;
    this.#lane.resume(performance.now());
    for (const listener of this.#watchers) listener(); // as a browser tells of a network
  }

  /** Makes all that comes in so many ms late. */
  throttle(milliseconds: number): void {
    this.#delays.delayMs = milliseconds;
  }

  readonly watch: Platform["watch"] = (listener) => {
    const unwatch = PLATFORM.watch(listener);
    this.#watchers.add(listener);
    return () => {
      this.#watchers.delete(listener);
      unwatch();
    };
  };

  readonly fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    if (this.#isCut) throw new TypeError("the lab has cut this lane");
    const cutting = new AbortController();
    const closed = this.#opened(() => cutting.abort(new TypeError("the lab has cut this lane")));
    if (typeof init.body === "string") this.#lane.bytesOut += utf8.encode(init.body).length;
    const signals = init.signal ? [init.signal, cutting.signal] : [cutting.signal];
    const signal = AbortSignal.any(signals);
    signal.addEventListener("abort", closed);
    try {
      const response = await fetch(url, { ...init, signal });
      await this.#delays.flush();
      const { body, status, statusText, headers } = response;
      if (body === null) closed();
      const counted = body?.pipeThrough(this.#counted(closed)) ?? null;
      return new Response(counted, { status, statusText, headers });
    } catch (cause) {
      closed();
      throw cause;
    }
  };

  /** A class whose sockets belong to this lane. */
  readonly WebSocket: typeof WebSocket = this.#makeSocketClass();

  #makeSocketClass(): typeof WebSocket {
    // deno-lint-ignore no-this-alias -- the class below has a `this` of its own
    const wire = this;
    return class LabSocket extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(wire.#isCut ? new URL(UNREACHABLE_PATH, url) : url, protocols);
        const closed = wire.#opened(() => this.close());
        this.addEventListener("close", closed);
        // The first listener, so that it can hold back what the others would hear.
        this.addEventListener("message", (event) => wire.#hold(this, event));
      }

      override send(data: Parameters<WebSocket["send"]>[0]): void {
        if (typeof data === "string") wire.#lane.bytesOut += utf8.encode(data).length;
        super.send(data);
      }
    };
  }

  #hold(socket: WebSocket, event: MessageEvent): void {
    if (!event.isTrusted) return; // it has passed here
    event.stopImmediatePropagation();
    this.#lane.bytesIn += utf8.encode(String(event.data)).length;
    this.#delays.run(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.dispatchEvent(new MessageEvent("message", { data: event.data }));
    });
  }

  /** @returns what says that the connection has ended */
  #opened(end: () => void): () => void {
    const span: LaneSpan = this.#lane.begin(performance.now());
    this.#open.add(end);
    return () => {
      this.#open.delete(end);
      span.to ??= performance.now();
    };
  }

  #counted(closed: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    return new TransformStream({
      transform: (chunk, controller) => {
        this.#lane.bytesIn += chunk.length;
        this.#delays.run(() => {
          try {
            controller.enqueue(chunk);
          } catch {
            // The reader has gone while it was late.
          }
        });
      },
      flush: async () => {
        await this.#delays.flush();
        closed();
      },
    });
  }
}
