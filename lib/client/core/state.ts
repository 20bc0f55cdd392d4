import type { WeirError } from "./weir_error.ts";

/** From the best to the one that works everywhere. */
export type TransportName = "websocket" | "sse" | "long-poll" | "short-poll";

export const TRANSPORTS: readonly TransportName[] = ["websocket", "sse", "long-poll", "short-poll"];

export type ConnectionState =
  | { readonly status: "idle" }
  | { readonly status: "connecting"; readonly transport: TransportName }
  | { readonly status: "open"; readonly transport: TransportName }
  | {
    readonly status: "reconnecting";
    /** Milliseconds since 1970 of the next try. */
    readonly at: number;
    /** Milliseconds that the wait takes in all. */
    readonly delay: number;
    readonly error: WeirError;
  }
  /** The browser says that there is no network. */
  | { readonly status: "offline" }
  /** For good: by `close()`, the signal, or an error that waiting doesn't mend. */
  | { readonly status: "closed"; readonly error?: WeirError };
