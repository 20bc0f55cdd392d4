import type { Credentials } from "../connection/credentials.ts";
import { requestJson } from "./http.ts";
import { channelPathSegment } from "../core/channel_path.ts";
import type { Call } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { CALL_TIMEOUT_MS, type ConnectionContext } from "../connection/transport.ts";
import { WeirError } from "../core/weir_error.ts";

/** What has a place in a path: URLs don't keep dots, even as `%2e` (WHATWG URL). */
const MEMBER = /^(?!\.\.?$)\P{Surrogate}+$/u;

/** The call, by a request. @see {@link import("../connection/transport.ts").Ways.call} */
export async function callOverHttp(
  shared: ConnectionContext,
  call: Call,
  session: string,
  signal?: AbortSignal,
): Promise<JsonObject> {
  const send = (path: string, method?: string, body?: unknown) =>
    requestJson(shared, path, { method, body, signal, timeoutMs: CALL_TIMEOUT_MS });
  switch (call.op) {
    case "get":
      return await send(call.path);
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
    case "leave": {
      const { channel, data } = { data: undefined, ...call };
      const member = call.member ?? await subjectOf(shared.credentials);
      if (member === undefined) {
        throw new WeirError("bad_parameter", "Without a WebSocket the member has to be named.");
      }
      if (!MEMBER.test(member)) {
        const detail = `${JSON.stringify(member)} can't be named without a WebSocket.`;
        throw new WeirError("bad_member", detail);
      }
      const name = encodeURIComponent(member);
      const path = `/v1/channels/${channelPathSegment(channel)}/members/${name}?session=${session}`;
      return call.op === "enter" ? await send(path, "PUT", { data }) : await send(path, "DELETE");
    }
  }
}

/** The `sub` of the token, which is the member where none is named; none of an API key's. */
async function subjectOf(credentials: Credentials): Promise<string | undefined> {
  const { token = "" } = credentials.isTicket ? {} : await credentials.get();
  const [, payload = ""] = token.split(".");
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined; // no JWT
  }
}
