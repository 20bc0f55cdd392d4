import { callOverHttp } from "./http_calls.ts";
import type { Answer, Call } from "./link.ts";
import { callOverSocket } from "./socket_calls.ts";
import type { Ask, Shared } from "./transport.ts";

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
  const answer = ask && callOverSocket(call, isTicket, (message) => ask(message, signal));
  return await (answer ?? callOverHttp(shared, call, session, signal));
}
