import { Presence, type PresenceOptions } from "../../lib/presence/presence.ts";
import type { Member, MemberName } from "../../lib/presence/member.ts";
import { presenceChannelKey } from "../../lib/presence/presence_channel.ts";
import type { Log } from "../../lib/log/log.ts";
import type { ChannelKey } from "../../lib/shared/channel.ts";
import { type Offset, ORIGIN, parseOffset } from "../../lib/shared/offset.ts";
import { testChannelKey } from "./drafts.ts";
import { readRuns } from "./log_reading.ts";

/** A member as readers know it. */
export interface Known {
  readonly data: string;
  readonly since: string;
  readonly offset: Offset;
}

export function memberIn(channel: string, member: string): Member {
  return { channelKey: testChannelKey(channel), name: member as MemberName };
}

/** The presence of one more isolate, which does nothing by itself. */
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

/** Who is in the snapshot. */
export async function snapshotOf(
  presence: Presence,
  channel: ChannelKey,
): Promise<ReadonlyMap<string, Known>> {
  const { members } = await presence.snapshot(channel);
  return new Map(members.map(({ name: member, data, since, offset }) => {
    return [member, { data, since: new Date(since).toISOString(), offset }];
  }));
}

/** What a change says, as its event has it. */
export interface Change {
  readonly type: string;
  readonly offset: Offset;
  readonly data: string;
}

/**
 * Takes a change to what is known.
 *
 * @throws {Error} where it can't follow: who is there enters, or who isn't leaves.
 */
export function apply(known: Map<string, Known>, { type, offset, data }: Change): void {
  const { member, data: value, since } = JSON.parse(data);
  const before = known.get(member);
  if ((type === "enter") !== (before === undefined)) {
    throw new Error(`${type} of ${member}, who is ${before === undefined ? "not " : ""}there`);
  }
  if (before !== undefined && before.since !== since) throw new Error(`${member}'s since moved`);
  if (type === "leave") known.delete(member);
  else known.set(member, { data: JSON.stringify(value), since, offset });
}

/** Who is there by the changes alone, from the first on. */
export async function foldOf(log: Log, channel: ChannelKey): Promise<ReadonlyMap<string, Known>> {
  const known = new Map<string, Known>();
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
