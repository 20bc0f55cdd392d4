import { Presence, type PresenceOptions } from "../../lib/presence/presence.ts";
import { listedSessions } from "../../lib/presence/listed_sessions.ts";
import type { Member, MemberName } from "../../lib/presence/member.ts";
import { presenceChannelKey } from "../../lib/presence/presence_channel.ts";
import type { Log } from "../../lib/log/log.ts";
import type { ChannelKey } from "../../lib/shared/channel.ts";
import { type Offset, ORIGIN, parseOffset } from "../../lib/shared/offset.ts";
import { testChannelKey } from "./drafts.ts";
import { readRuns } from "./log_reading.ts";

/** A member as a reader sees it. */
export interface SeenMember {
  readonly data: string;
  readonly since: string;
  readonly offset: Offset;
  /** The names of its sessions. */
  readonly sessions: readonly string[];
}

export function memberIn(channel: string, member: string): Member {
  return { channelKey: testChannelKey(channel), name: member as MemberName };
}

/** Opens the presence of another isolate. It does due work only when `tick()` is called. */
export function openPresence(
  options: Pick<PresenceOptions, "kv" | "log"> & Partial<PresenceOptions>,
): Presence {
  return new Presence({
    isOneMachine: true,
    tickIntervalMs: 0,
    random: () => 0.01,
    onWarning(message, cause) {
      throw new Error(message, { cause });
    },
    ...options,
  });
}

/** Returns the members of the snapshot, by name. */
export async function snapshotOf(
  presence: Presence,
  channel: ChannelKey,
): Promise<ReadonlyMap<string, SeenMember>> {
  const { members } = await presence.snapshot(channel);
  return new Map(members.map((member) => {
    const { name, data, since, offset } = member;
    const sessions = listedSessions(member);
    return [name, { data, since: new Date(since).toISOString(), offset, sessions }];
  }));
}

/** A change, as in its event. */
export interface Change {
  readonly type: string;
  readonly offset: Offset;
  readonly data: string;
}

/**
 * Applies a change to the members.
 *
 * @throws {Error} if it does not fit: a present member enters, or an absent one leaves.
 */
export function apply(known: Map<string, SeenMember>, { type, offset, data }: Change): void {
  const { member, data: value, since, sessions = [] } = JSON.parse(data);
  const before = known.get(member);
  if ((type === "enter") !== (before === undefined)) {
    throw new Error(`${type} of ${member}, who is ${before === undefined ? "not " : ""}there`);
  }
  if (before !== undefined && before.since !== since) throw new Error(`${member}'s since moved`);
  if (type === "leave") known.delete(member);
  else known.set(member, { data: JSON.stringify(value), since, offset, sessions });
}

/** Returns the members as a reader of all changes knows them. */
export async function foldOf(
  log: Log,
  channel: ChannelKey,
): Promise<ReadonlyMap<string, SeenMember>> {
  const known = new Map<string, SeenMember>();
  for (const { epoch, events } of await readRuns(log, presenceChannelKey(channel), ORIGIN)) {
    for (const { sequence, type, data } of events) {
      if (typeof data !== "string") throw new Error("a change is JSON");
      const offset = `${epoch}_${String(sequence).padStart(16, "0")}` as Offset;
      parseOffset(offset);
      apply(known, { type, offset, data });
    }
  }
  return known;
}
