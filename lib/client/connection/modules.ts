import type { JsonObject } from "../core/json_object.ts";
import type { Call } from "../core/link.ts";
import type { Observable } from "../core/observable.ts";
import type { ConnectionState, TransportName } from "../core/state.ts";
import type { ConnectionContext, OpenTransport, SendRequest } from "./transport.ts";

/** How to make a call. */
export interface CallOptions {
  /** Names the client where it calls over HTTP. */
  readonly clientId: string;
  readonly signal?: AbortSignal | undefined;
  readonly state: Observable<ConnectionState>;
  /** Connects, if nothing was read until now. */
  start(): void;
  /** Returns what sends requests over the open transport, if that is bidirectional. */
  request(): SendRequest | undefined;
}

/** The modules that a connection uses. A page that needs fewer bundles fewer. */
export interface ConnectionModules {
  readonly transports: Readonly<Partial<Record<TransportName, OpenTransport>>>;
  /** Sends a call and resolves with its answer. @throws {WeirError} */
  call(context: ConnectionContext, call: Call, options: CallOptions): Promise<JsonObject>;
  /** Not needed with a single transport. */
  readonly openReplacement?: typeof import("./replacement.ts").openReplacement;
}
