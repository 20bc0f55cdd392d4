/** What the client needs of where it runs; tests bring their own time and randomness. */
export interface Platform {
  /** Milliseconds since 1970. */
  now(): number;
  /** 0 ≤ random < 1. */
  random(): number;
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  fetch(url: URL, init: RequestInit): Promise<Response>;
  /** None: that transport can't be had here (Node 20). */
  readonly WebSocket: (new (url: URL, protocol: string) => WebSocket) | undefined;
  isOnline(): boolean;
  /** Whether nobody looks at the page. */
  isHidden(): boolean;
  /** Calls `listener` when one of the two has changed; gives what ends that. */
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
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
  fetch: (url, init) => fetch(url, init),
  get WebSocket() {
    return globalThis.WebSocket as typeof WebSocket | undefined;
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
