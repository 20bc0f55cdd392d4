import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { HttpSession } from "./http_sessions.ts";
import type { MemberName } from "./member.ts";

/** How long a row waits for its isolate, in ms: longer than any session. */
const PARTING_MS = 60_000;
/**
 * Rows that are taken at once: their keys fit into one commit. Met: calls that end made-up sessions
 * as fast as they may, each a row, where a commit for each is slower than they come.
 */
const AT_ONCE = 50;

/** Asks `isolate` to end a session of a member, since its client has come to another one. */
export async function requestLeave(
  kv: Deno.Kv,
  isolate: string,
  { member, sessionName }: HttpSession,
): Promise<void> {
  const key = keys.leaveRequest(isolate, member.channelKey, member.name, sessionName);
  await retryLocked(() => kv.set(key, 0, { expireIn: PARTING_MS }));
}

/** Ends by `part` what other isolates have asked `isolate` to end. */
export async function takeLeaveRequests(
  kv: Deno.Kv,
  isolate: string,
  part: (session: HttpSession) => Promise<void>,
): Promise<void> {
  let sessions: HttpSession[] = [];
  let rows = kv.atomic();
  const take = async () => {
    await Promise.all(sessions.map(part));
    await retryLocked(() => rows.commit());
    sessions = [];
    rows = kv.atomic();
  };
  for await (const { key } of kv.list({ prefix: keys.partings(isolate) })) {
    const [, , tenant, channel, name, sessionName] = key;
    const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
    sessions.push({
      member: { channelKey, name: name as MemberName },
      sessionName: String(sessionName),
    });
    rows.delete(key);
    if (sessions.length === AT_ONCE) await take();
  }
  if (sessions.length > 0) await take();
}
