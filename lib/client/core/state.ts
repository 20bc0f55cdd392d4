import type { WeirError } from "./weir_error.ts";

export type TransportName = "webtransport" | "websocket" | "sse" | "long-poll" | "short-poll";

/** Best first; the last one works everywhere. WebTransport is used only where it is named. */
export const TRANSPORTS: readonly TransportName[] = ["websocket", "sse", "long-poll", "short-poll"];

export type ConnectionState =
  | { readonly status: "idle" }
  | { readonly status: "connecting"; readonly transport: TransportName }
  | { readonly status: "open"; readonly transport: TransportName }
  | {
    readonly status: "reconnecting";
    /** Time of the next try, in milliseconds since 1970. */
    readonly at: number;
    /** Length of the whole wait, in milliseconds. */
    readonly delay: number;
    readonly error: WeirError;
  }
  /** The browser reports no network. */
  | { readonly status: "offline" }
  /** Final: by `close()`, the signal, or an error that waiting cannot fix. */
  | { readonly status: "closed"; readonly error?: WeirError };
