import { callOverHttp } from "./http_calls.ts";
import type { Call } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { callOverSocket } from "./socket_calls.ts";
import type { ConnectionContext, SendRequest } from "../connection/transport.ts";
import { WeirError } from "../core/weir_error.ts";

/** Of one to the server: what its frames have, but for the `ref`. */
const MAX_MESSAGE_CHARS = 2 * 1024 ** 2 - 64;

/** Over the WebSocket where that is open and can, else over HTTP. @see {@link import("../connection/transport.ts").Ways.call} */
export async function makeCall(
  shared: ConnectionContext,
  call: Call,
  session: string,
  signal?: AbortSignal,
  ask?: SendRequest,
): Promise<JsonObject> {
  signal?.throwIfAborted(); // while this was loaded
  const { isTicket } = shared.credentials;
  const answer = ask && callOverSocket(call, isTicket, (message) => ask(fitting(message), signal));
  return await (answer ?? callOverHttp(shared, call, session, signal));
}

/** The message, if it fits into a frame: at another the server would close, again and again. */
function fitting(message: JsonObject): JsonObject {
  if (JSON.stringify(message).length <= MAX_MESSAGE_CHARS) return message;
  const limit = `A message has ${MAX_MESSAGE_CHARS} characters at the most.`;
  throw new WeirError("event_too_large", limit);
}
