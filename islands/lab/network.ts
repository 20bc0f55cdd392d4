import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import type { LaneRecord, LaneSpan } from "./lane_record.ts";
import { DelayQueue } from "./delay_queue.ts";
import { SlowLink } from "./slow_link.ts";
import { transportClass } from "./transport_class.ts";

const utf8 = new TextEncoder();
/** A path without a WebSocket: connections fail. */
const UNREACHABLE_PATH = "/v1/lab-cut";

/**
 * The network of one lane. It wraps the browser's `fetch`, `WebSocket` and `WebTransport`, counts
 * their bytes, and can cut, throttle and slow them down as a bad network would.
 */
export class LabNetwork
  implements Pick<Platform, "fetch" | "WebSocket" | "WebTransport" | "watch"> {
  /** All that arrives goes over it. */
  readonly link = new SlowLink();
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
      const counted = body?.pipeThrough(this.#arriving(closed)) ?? null;
      return new Response(counted, { status, statusText, headers });
    } catch (cause) {
      closed();
      throw cause;
    }
  };

  /** A `WebSocket` class whose sockets belong to this lane. */
  readonly WebSocket: typeof WebSocket = this.#makeSocketClass();

  /** A `WebTransport` class whose connections belong to this lane. */
  readonly WebTransport: Platform["WebTransport"] = transportClass({
    isCut: () => this.#isCut,
    opened: (end) => this.#opened(end),
    arriving: () => this.#arriving(),
    left: (bytes) => this.#record.bytesOut += bytes,
  });

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
    const { length } = utf8.encode(String(event.data));
    this.#record.bytesIn += length;
    void this.link.pass(socket, length).then(() =>
      this.#delays.run(() => {
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.dispatchEvent(new MessageEvent("message", { data: event.data }));
      })
    );
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

  /** Passes on the data of one stream. @param ended is called when all of it has been passed on. */
  #arriving(
    ended: () => void = () => {},
  ): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    const stream = {};
    return new TransformStream({
      transform: async (chunk, controller) => {
        this.#record.bytesIn += chunk.length;
        await this.link.pass(stream, chunk.length);
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
        ended();
      },
    });
  }
}
