import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import type { LaneRecord, LaneSpan } from "./lane_record.ts";
import { DelayQueue } from "./delay_queue.ts";

const utf8 = new TextEncoder();
/** A path without a WebSocket: connections fail. */
const UNREACHABLE_PATH = "/v1/lab-cut";

/**
 * The network of one lane. It wraps the browser's `fetch` and `WebSocket`, counts their bytes, and
 * can cut and throttle them as a bad network would.
 */
export class LabNetwork implements Pick<Platform, "fetch" | "WebSocket" | "watch"> {
  readonly #record: LaneRecord;
  readonly #delays = new DelayQueue();
  /** Functions that end the open connections. */
  readonly #open = new Set<() => void>();
  readonly #watchers = new Set<() => void>();
  #isCut = false;

  constructor(record: LaneRecord) {
    this.#record = record;
  }

  /** Ends open connections and refuses new ones until {@link resume}. */
  cut(): void {
    this.#isCut = true;
    this.#record.cut(performance.now());
    for (const end of [...this.#open]) end();
  }

  resume(): void {
    this.#isCut = false;
    this.#record.resume(performance.now());
    for (const listener of this.#watchers) listener(); // as when the browser is online again
  }

  /** Delays everything that arrives. */
  throttle(delayMs: number): void {
    this.#delays.delayMs = delayMs;
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
    if (typeof init.body === "string") this.#record.bytesOut += utf8.encode(init.body).length;
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

  /** A `WebSocket` class whose sockets belong to this lane. */
  readonly WebSocket: typeof WebSocket = this.#makeSocketClass();

  #makeSocketClass(): typeof WebSocket {
    // deno-lint-ignore no-this-alias -- the class below has a `this` of its own
    const network = this;
    return class LabSocket extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(network.#isCut ? new URL(UNREACHABLE_PATH, url) : url, protocols);
        const closed = network.#opened(() => this.close());
        this.addEventListener("close", closed);
        // Added first, so that it can hold messages back from other listeners.
        this.addEventListener("message", (event) => network.#hold(this, event));
      }

      override send(data: Parameters<WebSocket["send"]>[0]): void {
        if (typeof data === "string") network.#record.bytesOut += utf8.encode(data).length;
        super.send(data);
      }
    };
  }

  #hold(socket: WebSocket, event: MessageEvent): void {
    if (!event.isTrusted) return; // dispatched below
    event.stopImmediatePropagation();
    this.#record.bytesIn += utf8.encode(String(event.data)).length;
    this.#delays.run(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.dispatchEvent(new MessageEvent("message", { data: event.data }));
    });
  }

  /** Registers a connection. Returns a function to call when it has ended. */
  #opened(end: () => void): () => void {
    const span: LaneSpan = this.#record.begin(performance.now());
    this.#open.add(end);
    return () => {
      this.#open.delete(end);
      span.to ??= performance.now();
    };
  }

  #counted(closed: () => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    return new TransformStream({
      transform: (chunk, controller) => {
        this.#record.bytesIn += chunk.length;
        this.#delays.run(() => {
          try {
            controller.enqueue(chunk);
          } catch {
            // The stream was canceled during the delay.
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
