import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { MAX_SIGNAL_BYTES, parseSignal, signalTooLarge } from "../lib/rtc/signal.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest } from "./admin.ts";
import { CHANNEL, MEMBER } from "./api_description/names.ts";
import {
  CHANNEL_RIGHT,
  CREDENTIAL,
  JSON_BODY,
  QUERY,
  STORE_WRITE,
} from "./api_description/problem_groups.ts";
import { jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { describedSession, parseSession, sessionName } from "./member_session.ts";

/** Bytes of a body: a signal's data, with room for its other members. */
const MAX_BODY_BYTES = MAX_SIGNAL_BYTES + 4_096;

const body = z.strictObject({
  to: z.string(),
  toSession: sessionName.optional(),
  data: z.unknown(),
});

export const postSignalDescription: RouteDescription = {
  id: "sendSignal",
  tag: "Presence",
  summary: "Send a signal to sessions of another member",
  text:
    "`{member}` and `session` are the sender, who must be present. Receivers read `$signals:<channel>/<member>/<session>`. Needs the right `presence` on the channel.",
  needsCredential: true,
  path: { channel: CHANNEL, member: MEMBER },
  query: describedSession,
  needsBody: true,
  body: jsonBody({
    name: "Signal",
    schema: body,
    members: {
      to: { ...MEMBER, text: "The member that receives it." },
      toSession: { text: "Its session. Without it, all named sessions of the member." },
      data: { text: "Any JSON value of at most 65,536 bytes." },
    },
    example: { to: "bob", toSession: "Qw81", data: { candidate: "…" } },
  }),
  answers: { 200: { text: "The signal is durable.", json: "SignalSent" } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...JSON_BODY,
    ...STORE_WRITE,
    ...CHANNEL_RIGHT,
    "bad_member",
    "inbox_full",
    "no_such_member",
    "not_a_member",
    "signal_too_large",
    "tenant_limit",
    "too_many_channels",
  ],
};

/** `POST /v1/channels/{channel}/members/{member}/signals?session=`: sends a signal as the member. */
export async function postSignal(
  c: AppContext,
  { access, signals }: Pick<Server, "access" | "signals">,
  caller: Caller,
): Promise<Response> {
  const { member, sessionName: session } = parseSession(c, { access }, caller);
  const { limiter } = access;
  const request = { access, caller, schema: body, maxBytes: MAX_BODY_BYTES };
  const signal = parseSignal(await readRequest(c.req.raw, request).catch(renameTooLarge));
  limiter.publish(caller, 1, signal.bytes);
  const { publisher } = caller.authority;
  const sessions = await signals.send({
    sender: { member, session, publisher, hasJoined: false },
    signal,
    countCopies: (copies) => limiter.publish(caller, copies, copies * signal.bytes),
  });
  return c.json({ sessions }, 200, NO_STORE);
}

/** Gives a body that is too long the code of data that is too long. */
function renameTooLarge(cause: unknown): never {
  throw cause instanceof Problem && cause.code === "event_too_large" ? signalTooLarge() : cause;
}
