import type { SendRequest } from "../connection/transport.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Call, Publication } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";

/**
 * Makes a call by messages of a WebSocket. Returns undefined if HTTP is the better way.
 *
 * @throws {WeirError}
 */
export function callByMessages(
  call: Call,
  isTicket: boolean,
  request: SendRequest,
): Promise<JsonObject> | undefined {
  switch (call.op) {
    case "get":
    case "post":
      return undefined;
    case "publish":
      // Only one HTTP request is all or nothing, but tickets cannot make it.
      return call.events.length > 1 && !isTicket
        ? undefined
        : publish(call.channel, call.events, request);
    case "ephemeral":
      return request({ ...call, op: "publish", ephemeral: true });
    case "leave":
      return call.isByHttp ? undefined : request({ ...call });
    case "enter":
    case "signal":
      return request({ ...call });
  }
}

/** Publishes one event at a time, so that none is stored before an earlier one is refused. */
async function publish(
  channel: string,
  events: readonly Publication[],
  request: SendRequest,
): Promise<JsonObject> {
  const answers: JsonObject[] = [];
  for (const [index, event] of events.entries()) {
    try {
      answers.push(await request({ op: "publish", channel, ...event }));
    } catch (cause) {
      if (!(cause instanceof WeirError)) throw cause;
      throw new WeirError(cause.code, cause.detail, { ...cause, index });
    }
  }
  return { events: answers };
}
