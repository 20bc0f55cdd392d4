import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { HTTP_SESSION_MS } from "../lib/presence/http_sessions.ts";
import { dataBytes, parseMemberData, resolveMemberName } from "../lib/presence/member.ts";
import { sessionsJson } from "../lib/presence/member_change.ts";
import {
  type MemberSession,
  SESSION_NAME,
  SESSION_NAME_FORMAT,
} from "../lib/presence/named_session.ts";
import type { PresentMember } from "../lib/presence/snapshot.ts";
import { type ChannelKey, channelOf } from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireRight } from "./access.ts";
import { NO_STORE, readRequest } from "./admin.ts";
import type { AppContext } from "./context.ts";
import { parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** Bytes of a body: a member's data, with room for white space and escapes. */
const MAX_BODY_BYTES = 8_192;

const sessionQuery = z.object({
  session: z.string().regex(SESSION_NAME, SESSION_NAME_FORMAT).optional(),
});
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
  const channelKey = parseChannelKey(server, caller, path);
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

/** Returns the session that the request names. @throws {Problem} if the caller may not use it */
function parseSession(c: AppContext, server: MemberParts, caller: Caller): MemberSession {
  const { path, searchParams } = splitUrl(c.req.raw.url);
  const { session } = parseQuery(searchParams, sessionQuery);
  if (session === undefined) {
    throw new Problem(
      "bad_parameter",
      `The parameter "session" is required: ${SESSION_NAME_FORMAT}.`,
    );
  }
  const channelKey = parseChannelKey(server, caller, path);
  const name = resolveMemberName(caller.authority, parsePathMember(path));
  return { member: { channelKey, name }, sessionName: session };
}

/** Returns the channel of the path. @throws {Problem} if the caller has no right to its presence */
function parseChannelKey(server: MemberParts, caller: Caller, path: string): ChannelKey {
  const channelKey = parsePathChannel(caller.authority.tenant, path);
  requireRight(server.access, caller, { action: "presence", channel: channelOf(channelKey) });
  return channelKey;
}

/** Returns the member's name from the path. @throws {Problem} `bad_member` */
function parsePathMember(path: string): string {
  const encoded = path.split("/")[5] ?? "";
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    const detail = `Cannot read ${quote(encoded)}: it is not percent-encoded UTF-8.`;
    throw new Problem("bad_member", detail, { cause });
  }
}

function memberJson(member: PresentMember): string {
  const { name, data, since, offset } = member;
  return `{"member":${JSON.stringify(name)},"data":${data},"since":"${
    formatTime(since)
  }","offset":"${offset}"${sessionsJson(member)}}`;
}
