import type { Call } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { TransportName } from "../core/state.ts";
import type { ConnectionContext, OpenTransport, SendRequest } from "./transport.ts";

/** By what a connection speaks: an application that needs less brings less. */
export interface ConnectionModules {
  /** Those that there are, best first. */
  readonly transports: Readonly<Partial<Record<TransportName, OpenTransport>>>;
  /**
   * A call's answer.
   *
   * @param session names the client.
   * @param ask of the transport that is open, if it has that.
   * @throws {WeirError}
   */
  call(
    shared: ConnectionContext,
    call: Call,
    session: string,
    signal?: AbortSignal,
    ask?: SendRequest,
  ): Promise<JsonObject>;
  /** Looks for a better transport. None: there is one. @see {@link import("./upgrade.ts").openBetterTransport} */
  readonly openBetterTransport?: typeof import("./upgrade.ts").openBetterTransport;
}
