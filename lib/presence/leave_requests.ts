import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { MemberName } from "./member.ts";
import type { MemberSession } from "./named_session.ts";

/** How long a request waits for its isolate: longer than an HTTP session or a lost one lasts. */
const REQUEST_TTL_MS = 60_000;
/**
 * Requests that are taken in one commit, which has room for that many keys. Guards against calls
 * that end made-up sessions: a commit for each would be slower than they arrive.
 */
const BATCH_SIZE = 50;

/** Asks `isolate` to end a session, because its client's request came to another isolate. */
export async function requestLeave(
  kv: Deno.Kv,
  isolate: string,
  { member, sessionName }: MemberSession,
): Promise<void> {
  const key = keys.leaveRequest(isolate, member.channelKey, member.name, sessionName);
  await retryLocked(() => kv.set(key, 0, { expireIn: REQUEST_TTL_MS }));
}

/** Calls `end` for each session that other isolates asked `isolate` to end. */
export async function takeLeaveRequests(
  kv: Deno.Kv,
  isolate: string,
  end: (session: MemberSession) => Promise<void>,
): Promise<void> {
  let sessions: MemberSession[] = [];
  let removal = kv.atomic();
  const take = async () => {
    await Promise.all(sessions.map(end));
    await retryLocked(() => removal.commit());
    sessions = [];
    removal = kv.atomic();
  };
  for await (const { key } of kv.list({ prefix: keys.leaveRequests(isolate) })) {
    const [, , tenant, channel, name, sessionName] = key;
    const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
    sessions.push({
      member: { channelKey, name: name as MemberName },
      sessionName: String(sessionName),
    });
    removal.delete(key);
    if (sessions.length === BATCH_SIZE) await take();
  }
  if (sessions.length > 0) await take();
}
