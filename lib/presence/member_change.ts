import { keys } from "../kv/keys.ts";
import type { Draft } from "../log/log.ts";
import { formatTime, JSON_TYPE } from "../shared/event.ts";
import type { Offset } from "../shared/offset.ts";
import { listedSessions, type MemberSessions } from "./listed_sessions.ts";
import type { Member, MemberName } from "./member.ts";
import { addToMemberCount } from "./member_counts.ts";
import { presenceChannelKey } from "./presence_channel.ts";

/** Bytes that an isolate's id takes in a row. */
const ISOLATE_BYTES = 64;
/** Bytes that the name of a session takes in a row. */
const SESSION_NAME_BYTES = 72;
/** Bytes that a row takes in addition to its data and the ids of its isolates. */
const ROW_BYTES = 256;

/** The value of a member's row. */
export interface StoredMember extends MemberSessions {
  /** JSON. */
  readonly data: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The offset of the member's last event. */
  readonly offset: Offset;
}

export type MemberEntry = Deno.KvEntryMaybe<StoredMember>;

/** A change of a member that others see. The type is that of its event. */
export interface MemberChange {
  readonly type: "enter" | "update" | "leave";
  readonly member: Member;
  /** The member's row as it was read. */
  readonly entry: MemberEntry;
  /** The row from now on, or the last one of a member that leaves. */
  readonly row: Omit<StoredMember, "offset">;
  /** The isolate that joins, updates or leaves. The row names it while it has the member. */
  readonly isolate: string;
}

const utf8 = new TextEncoder();

/**
 * Returns the draft of a change's event. The commit that appends it also changes the member's row,
 * the isolate's index row and the channel's member count.
 *
 * @throws {Problem} `bad_channel`
 */
export function memberChangeDraft({ type, member, entry, row, isolate }: MemberChange): Draft {
  const { channelKey, name } = member;
  const indexKey = isolateMemberKey(member, isolate);
  const data = changeData(type, name, row);
  return {
    channelKey: presenceChannelKey(channelKey),
    id: undefined,
    type,
    contentType: JSON_TYPE,
    data,
    bytes: utf8.encode(data).length,
    key: name,
    publisher: undefined,
    ttlMs: undefined,
    rows: {
      // An absent row needs no check: members only ever appear with an event of this channel.
      // A row that exists needs one, because isolates are added to it without an event.
      checks: type === "enter" ? [] : [entry],
      absent: type === "enter" ? [entry.key] : [],
      keyBytes: 2 * maxKeyBytes(entry.key) + maxKeyBytes(indexKey) +
        maxKeyBytes(keys.members(channelKey)),
      valueBytes: ROW_BYTES + 2 * row.data.length + ISOLATE_BYTES * row.isolates.length +
        sessionBytes(row),
      write(atomic, offset) {
        if (type === "leave") atomic.delete(entry.key);
        else atomic.set(entry.key, { ...row, offset } satisfies StoredMember);
        if (row.isolates.includes(isolate)) atomic.set(indexKey, 0);
        else atomic.delete(indexKey);
        if (type !== "update") addToMemberCount(atomic, channelKey, type === "enter" ? 1 : -1);
      },
    },
  };
}

/** Returns the key of the index row that says that `isolate` has the member. */
export function isolateMemberKey({ channelKey, name }: Member, isolate: string): Deno.KvKey {
  return keys.isolateMember(isolate, channelKey, name);
}

function changeData(
  type: MemberChange["type"],
  name: MemberName,
  row: Omit<StoredMember, "offset">,
): string {
  const since = formatTime(row.since);
  if (type === "leave") return `{"member":${JSON.stringify(name)},"since":"${since}"}`;
  return `{"member":${JSON.stringify(name)},"data":${row.data},"since":"${since}"${
    sessionsJson(row)
  }}`;
}

/** Returns the member `sessions` of a JSON object after its other members, or nothing. */
export function sessionsJson(row: MemberSessions): string {
  const sessions = listedSessions(row);
  return sessions.length === 0 ? "" : `,"sessions":${JSON.stringify(sessions)}`;
}

/** Returns an upper bound of the bytes that the names of sessions take in a row. */
function sessionBytes({ sessions = {} }: MemberSessions): number {
  const lists = Object.values(sessions);
  return lists.reduce((sum, names) => sum + ISOLATE_BYTES + SESSION_NAME_BYTES * names.length, 0);
}

/** Returns an upper bound: each part has a byte before it and one after it. */
function maxKeyBytes(key: Deno.KvKey): number {
  return key.reduce<number>((sum, part) => sum + 3 * String(part).length + 2, 0);
}
