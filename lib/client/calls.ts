import { callOverHttp } from "./http_calls.ts";
import type { Answer, Call } from "./link.ts";
import { callOverSocket } from "./socket_calls.ts";
import type { Ask, Shared } from "./transport.ts";
import { WeirError } from "./weir_error.ts";

/** Of one to the server: what its frames have, but for the `ref`. */
const MAX_MESSAGE_CHARS = 2 * 1024 ** 2 - 64;

/** Over the WebSocket where that is open and can, else over HTTP. @see {@link import("./transport.ts").Ways.call} */
export async function makeCall(
  shared: Shared,
  call: Call,
  session: string,
  signal?: AbortSignal,
  ask?: Ask,
): Promise<Answer> {
  signal?.throwIfAborted(); // while this was loaded
  const { isTicket } = shared.credentials;
  const answer = ask && callOverSocket(call, isTicket, (message) => ask(fitting(message), signal));
  return await (answer ?? callOverHttp(shared, call, session, signal));
}

/** The message, if it fits into a frame: at another the server would close, again and again. */
function fitting(message: Answer): Answer {
  if (JSON.stringify(message).length <= MAX_MESSAGE_CHARS) return message;
  const limit = `A message has ${MAX_MESSAGE_CHARS} characters at the most.`;
  throw new WeirError("event_too_large", limit);
}
