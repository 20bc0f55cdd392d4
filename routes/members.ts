import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { HTTP_SESSION_MS } from "../lib/presence/http_sessions.ts";
import { dataBytes, parseMemberData } from "../lib/presence/member.ts";
import { sessionsJson } from "../lib/presence/member_change.ts";
import type { PresentMember } from "../lib/presence/snapshot.ts";
import { channelOf } from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest } from "./admin.ts";
import type { AppContext } from "./context.ts";
import { parsePresenceChannel, parseSession } from "./member_session.ts";
import { parseQuery, splitUrl } from "./query.ts";

/** Bytes of a body: a member's data, with room for white space and escapes. */
const MAX_BODY_BYTES = 8_192;

type MemberParts = Pick<Server, "access" | "presence">;

const body = z.strictObject({ data: z.unknown().optional() });

/** `GET /v1/channels/{channel}/members`: returns a snapshot, and the cursor of later changes. */
export async function listMembers(
  c: AppContext,
  server: MemberParts,
  caller: Caller,
): Promise<Response> {
  const { path, searchParams } = splitUrl(c.req.raw.url);
  parseQuery(searchParams, z.object({}));
  const channelKey = parsePresenceChannel(server, caller, path);
  server.access.limiter.subscribe(caller, 1);
  const { members, cursor } = await server.presence.snapshot(channelKey);
  const text = `{"members":[${members.map(memberJson).join(",")}],"cursor":"${cursor}"}`;
  return c.body(text, 200, { ...NO_STORE, "Content-Type": "application/json" });
}

/** `PUT /v1/channels/{channel}/members/{member}?session=`: joins, or renews the session. */
export async function putMember(
  c: AppContext,
  server: MemberParts,
  caller: Caller,
): Promise<Response> {
  const session = parseSession(c, server, caller);
  const { limiter } = server.access;
  const { data } = await readRequest(c.req.raw, {
    access: server.access,
    caller,
    schema: body,
    maxBytes: MAX_BODY_BYTES,
  });
  const text = parseMemberData(data);
  limiter.publish(caller, 1, dataBytes(text));
  const offset = await server.presence.renewHttpSession(
    session,
    text,
    () => limiter.connect(caller),
  );
  const { channelKey, name } = session.member;
  const channel = channelOf(channelKey);
  return c.json({ channel, member: name, offset, expiresIn: HTTP_SESSION_MS }, 200, NO_STORE);
}

/** `DELETE /v1/channels/{channel}/members/{member}?session=`: ends the session. */
export async function deleteMember(
  c: AppContext,
  server: MemberParts,
  caller: Caller,
): Promise<Response> {
  const session = parseSession(c, server, caller);
  server.access.limiter.publish(caller, 1, 0);
  await server.presence.endHttpSession(session);
  return c.body(null, 204);
}

function memberJson(member: PresentMember): string {
  const { name, data, since, offset } = member;
  return `{"member":${JSON.stringify(name)},"data":${data},"since":"${
    formatTime(since)
  }","offset":"${offset}"${sessionsJson(member)}}`;
}
