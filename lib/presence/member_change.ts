import { keys } from "../kv/keys.ts";
import type { Draft } from "../log/log.ts";
import { formatTime, JSON_TYPE } from "../shared/event.ts";
import type { Offset } from "../shared/offset.ts";
import type { Member, MemberName } from "./member.ts";
import { addToMemberCount } from "./member_counts.ts";
import { presenceChannelKey } from "./presence_channel.ts";

/** Bytes that an isolate's id takes in a row. */
const ISOLATE_BYTES = 64;
/** Bytes that a row takes in addition to its data and the ids of its isolates. */
const ROW_BYTES = 256;

/** The value of a member's row. */
export interface StoredMember {
  /** JSON. */
  readonly data: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The offset of the member's last event. */
  readonly offset: Offset;
  /** The isolates that have sessions of the member, or had them when their lease expired. */
  readonly isolates: readonly string[];
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
  /** The isolate that joins, updates or leaves. */
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
      valueBytes: ROW_BYTES + 2 * row.data.length + ISOLATE_BYTES * row.isolates.length,
      write(atomic, offset) {
        if (type === "leave") atomic.delete(entry.key).delete(indexKey);
        else atomic.set(entry.key, { ...row, offset } satisfies StoredMember).set(indexKey, 0);
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
  { data, since }: Pick<StoredMember, "data" | "since">,
): string {
  const shown = type === "leave" ? "" : `"data":${data},`;
  return `{"member":${JSON.stringify(name)},${shown}"since":"${formatTime(since)}"}`;
}

/** Returns an upper bound: each part has a byte before it and one after it. */
function maxKeyBytes(key: Deno.KvKey): number {
  return key.reduce<number>((sum, part) => sum + 3 * String(part).length + 2, 0);
}
