import type { WireEvent } from "../../lib/shared/event.ts";
import { type Answer, call } from "./calls.ts";
import { membersPath } from "./members.ts";

/** Returns the name of a session's inbox. */
export function inboxName(channel: string, member: string, session: string): string {
  return `$signals:${channel}/${encodeURIComponent(member)}/${session}`;
}

/** A signal that is sent by a named session. */
export interface WireSignal {
  readonly channel: string;
  /** The sender. */
  readonly member: string;
  readonly session?: string;
  readonly to: string;
  readonly toSession?: string;
  readonly data?: unknown;
}

/** Sends a signal over HTTP. */
export async function postSignal(
  url: string,
  { channel, member, session, ...body }: WireSignal & Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const [path, query] = membersPath(channel, member, session).split("?");
  return await call(url, `${path}/signals?${query}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/** What an inbox delivers of a signal, in short: the sender and the data. */
export function signalOf({ data }: Pick<WireEvent, "data">): readonly unknown[] {
  const { from, fromSession, data: sent } = data as Readonly<Record<string, unknown>>;
  return [from, fromSession, sent];
}
