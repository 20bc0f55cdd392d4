import type { Call, Publication } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { WeirError } from "../core/weir_error.ts";

/**
 * The call, by the messages of a WebSocket; undefined where it goes better over HTTP.
 *
 * @param ask answers one message.
 * @throws {WeirError}
 */
export function callOverSocket(
  call: Call,
  isTicket: boolean,
  ask: (message: JsonObject) => Promise<JsonObject>,
): Promise<JsonObject> | undefined {
  switch (call.op) {
    case "get":
      return undefined;
    case "publish":
      // All or none is what one request is; only a ticket can't make it.
      return call.events.length > 1 && !isTicket
        ? undefined
        : publish(call.channel, call.events, ask);
    case "ephemeral":
      return ask({ ...call, op: "publish", ephemeral: true });
    case "leave":
      return call.isByHttp ? undefined : ask({ ...call });
    case "enter":
      return ask({ ...call });
  }
}

/** One after the other, so that none is stored before one that is refused for now. */
async function publish(
  channel: string,
  events: readonly Publication[],
  ask: (message: JsonObject) => Promise<JsonObject>,
): Promise<JsonObject> {
  const answers: JsonObject[] = [];
  for (const [index, event] of events.entries()) {
    try {
      answers.push(await ask({ op: "publish", channel, ...event }));
    } catch (cause) {
      if (!(cause instanceof WeirError)) throw cause;
      throw new WeirError(cause.code, cause.detail, { ...cause, index });
    }
  }
  return { events: answers };
}
