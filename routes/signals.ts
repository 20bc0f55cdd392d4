import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { MAX_SIGNAL_BYTES, parseSignal, signalTooLarge } from "../lib/rtc/signal.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest } from "./admin.ts";
import type { AppContext } from "./context.ts";
import { parseSession, sessionName } from "./member_session.ts";

/** Bytes of a body: a signal's data, with room for its other members. */
const MAX_BODY_BYTES = MAX_SIGNAL_BYTES + 4_096;

const body = z.strictObject({
  to: z.string(),
  toSession: sessionName.optional(),
  data: z.unknown(),
});

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
