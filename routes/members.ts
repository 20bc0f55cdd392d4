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
import { CHANNEL, MEMBER, PRESENCE_CHANNEL } from "./api_description/names.ts";
import {
  CHANNEL_RIGHT,
  CREDENTIAL,
  JSON_BODY,
  QUERY,
  STORE_READ,
  STORE_WRITE,
} from "./api_description/problem_groups.ts";
import { described, jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { describedSession, parsePresenceChannel, parseSession } from "./member_session.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

/** Bytes of a body: a member's data, with room for white space and escapes. */
const MAX_BODY_BYTES = 8_192;

type MemberParts = Pick<Server, "access" | "presence">;

const body = z.strictObject({ data: z.unknown().optional() });

export const listMembersDescription: RouteDescription = {
  id: "listMembers",
  tag: "Presence",
  summary: "List the members of a channel",
  text: "Needs the right `presence` on the channel.",
  needsCredential: true,
  path: { channel: PRESENCE_CHANNEL },
  query: described(noQuery, {}),
  answers: { 200: { text: "The members, and the cursor of later changes.", json: "Members" } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_READ, ...CHANNEL_RIGHT],
};

/** `GET /v1/channels/{channel}/members`: returns a snapshot, and the cursor of later changes. */
export async function listMembers(
  c: AppContext,
  server: MemberParts,
  caller: Caller,
): Promise<Response> {
  const { path, searchParams } = splitUrl(c.req.raw.url);
  parseQuery(searchParams, noQuery);
  const channelKey = parsePresenceChannel(server, caller, path);
  server.access.limiter.subscribe(caller, 1);
  const { members, cursor } = await server.presence.snapshot(channelKey);
  const text = `{"members":[${members.map(memberJson).join(",")}],"cursor":"${cursor}"}`;
  return c.body(text, 200, { ...NO_STORE, "Content-Type": "application/json" });
}

export const putMemberDescription: RouteDescription = {
  id: "putMember",
  tag: "Presence",
  summary: "Join a channel, or renew the session",
  text:
    "Repeat the call before `expiresIn` is over: otherwise the session ends, and the member leaves 10 s later. Needs the right `presence` on the channel. Over a WebSocket, send `enter` instead.",
  needsCredential: true,
  path: { channel: PRESENCE_CHANNEL, member: MEMBER },
  query: describedSession,
  body: jsonBody({
    name: "MemberData",
    schema: body,
    members: {
      data: { text: "Any JSON value of at most 1,024 bytes. Without it the data stays as it is." },
    },
    example: { data: { color: "red" } },
  }),
  answers: { 200: { text: "The member is present.", json: "Membership" } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...JSON_BODY,
    ...STORE_WRITE,
    ...CHANNEL_RIGHT,
    "bad_member",
    "presence_full",
    "tenant_limit",
    "too_many_connections",
    "too_many_sessions",
  ],
};

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

export const deleteMemberDescription: RouteDescription = {
  id: "deleteMember",
  tag: "Presence",
  summary: "End a session",
  text: "The member leaves with its last session. Needs the right `presence` on the channel.",
  needsCredential: true,
  path: { channel: CHANNEL, member: MEMBER },
  query: describedSession,
  answers: { 204: { text: "The session has ended, or ends within seconds." } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_WRITE, ...CHANNEL_RIGHT, "bad_member"],
};

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
