/** What the client needs from its runtime. Tests replace time, randomness and the network. */
export interface Platform {
  /** Milliseconds since 1970. */
  now(): number;
  /** Returns 0 ≤ random < 1. */
  random(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
  fetch(url: URL, init: RequestInit): Promise<Response>;
  /** Undefined if the runtime has no WebSocket (Node 20). */
  readonly WebSocket: (new (url: URL, protocol: string) => WebSocket) | undefined;
  /** Undefined if the runtime has no WebTransport. */
  readonly WebTransport:
    | (new (url: URL, options: WebTransportOptions) => WebTransport)
    | undefined;
  isOnline(): boolean;
  /** Whether the page is in the background. */
  isHidden(): boolean;
  /**
   * Calls `listener` when `isOnline()` or `isHidden()` may have changed. Returns a function that
   * stops it.
   */
  watch(listener: () => void): () => void;
}

const { navigator, document } = globalThis as {
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: Document;
};

/** Deno, Node, Bun or a browser. */
export const PLATFORM: Platform = {
  now: () => Date.now(),
  random: () => Math.random(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
  fetch: (url, init) => fetch(url, init),
  get WebSocket() {
    return globalThis.WebSocket as typeof WebSocket | undefined;
  },
  get WebTransport() {
    return globalThis.WebTransport as typeof WebTransport | undefined;
  },
  isOnline: () => navigator?.onLine !== false,
  isHidden: () => document?.visibilityState === "hidden",
  watch(listener) {
    const end = new AbortController();
    const { signal } = end;
    document?.addEventListener("visibilitychange", listener, { signal });
    if (navigator?.onLine !== undefined) {
      for (const type of ["online", "offline"]) addEventListener(type, listener, { signal });
    }
    return () => end.abort();
  },
};
