import type { Credentials } from "../connection/credentials.ts";
import type { CallOptions } from "../connection/modules.ts";
import { CALL_TIMEOUT_MS, type ConnectionContext } from "../connection/transport.ts";
import { channelPathSegment } from "../core/channel_path.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Call } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";
import { requestJson } from "./http.ts";

/** What can be a segment of a URL's path: parsers remove dot segments, even as `%2e`. */
const MEMBER = /^(?!\.\.?$)\P{Surrogate}+$/u;

/** Makes a call by an HTTP request. */
export async function callOverHttp(
  context: ConnectionContext,
  call: Call,
  { clientId, signal }: CallOptions,
): Promise<JsonObject> {
  const send = (path: string, method?: string, body?: unknown) =>
    requestJson(context, path, { method, body, signal, timeoutMs: CALL_TIMEOUT_MS });
  switch (call.op) {
    case "get":
      return await send(call.path);
    case "post":
      return await send(call.path, "POST", call.body);
    case "publish": {
      const { channel } = call;
      const events = call.events.map((event) => ({ channel, ...event }));
      return await send("/v1/events", "POST", { events });
    }
    case "ephemeral": {
      const { op: _op, ...event } = call;
      return await send("/v1/events", "POST", { ...event, ephemeral: true });
    }
    case "enter":
    case "leave":
    case "signal": {
      const { channel, session } = { session: clientId, ...call };
      const member = call.member ?? await tokenSubject(context.credentials);
      if (member === undefined) {
        const detail = "Without a WebSocket and a token with a `sub`, the member must be named.";
        throw new WeirError("bad_parameter", detail);
      }
      if (!MEMBER.test(member)) {
        const detail = `${JSON.stringify(member)} cannot be used in a URL path.`;
        throw new WeirError("bad_member", detail);
      }
      const name = encodeURIComponent(member);
      const path = `/v1/channels/${channelPathSegment(channel)}/members/${name}`;
      const query = `?session=${encodeURIComponent(session)}`;
      if (call.op === "enter") return await send(path + query, "PUT", { data: call.data });
      if (call.op === "leave") return await send(path + query, "DELETE");
      const { to, toSession, data } = call;
      return await send(`${path}/signals${query}`, "POST", { to, toSession, data });
    }
  }
}

/** Returns the `sub` of the token, the default member. Undefined for API keys and tickets. */
async function tokenSubject(credentials: Credentials): Promise<string | undefined> {
  const { token = "" } = credentials.isTicket ? {} : await credentials.get();
  const [, payload = ""] = token.split(".");
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined; // not a JWT
  }
}
