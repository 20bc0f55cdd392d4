import type { CallOptions } from "../connection/modules.ts";
import type { ConnectionContext } from "../connection/transport.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Call } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";
import { callOverHttp } from "./http_calls.ts";
import { callByMessages } from "./message_calls.ts";

/** The server's limit for a message, less the size of a `ref`. */
const MAX_MESSAGE_CHARS = 2 * 1024 ** 2 - 64;

/**
 * Makes a call over the WebSocket if that is open and can carry it, else over HTTP.
 *
 * @see {@link import("../connection/modules.ts").ConnectionModules.call}
 */
export async function makeCall(
  context: ConnectionContext,
  call: Call,
  options: CallOptions,
): Promise<JsonObject> {
  const { signal } = options;
  signal?.throwIfAborted(); // it may have aborted while this module was loading
  if (call.op === "ephemeral" && (call.id ?? call.key ?? call.ttl) !== undefined) {
    throw new WeirError("bad_parameter", "Ephemeral events have no id, key or ttl.");
  }
  // A member stays while its socket is open, which is worth waiting for a socket that is opening.
  if (call.op === "enter" || call.op === "leave") await connected(options);
  context.closed.throwIfAborted();
  const request = options.request();
  const { isTicket } = context.credentials;
  const answer = request &&
    callByMessages(call, isTicket, async (message) => await request(checkSize(message), signal));
  return await (answer ?? callOverHttp(context, call, options));
}

/** Connects, and resolves once the first try has succeeded or failed. */
async function connected({ start, state }: CallOptions): Promise<void> {
  start();
  let unsubscribe = () => {};
  await new Promise<void>((resolve) => {
    unsubscribe = state.subscribe(({ status }) => {
      if (status !== "connecting" && status !== "idle") resolve();
    });
  });
  unsubscribe();
}

/** Refuses a message for which the server would close the connection, again and again. */
function checkSize(message: JsonObject): JsonObject {
  if (JSON.stringify(message).length <= MAX_MESSAGE_CHARS) return message;
  const detail = `A message can have at most ${MAX_MESSAGE_CHARS} characters.`;
  throw new WeirError("event_too_large", detail);
}
