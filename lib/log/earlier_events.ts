import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { LogEvent } from "../shared/event.ts";
import type { Epoch } from "../shared/offset.ts";
import { Problem, quote } from "../shared/problem.ts";
import { loadData } from "./blobs.ts";
import type { ChannelPlanBuilder } from "./channel_plan.ts";
import { getMany } from "./get_many.ts";
import type { Draft } from "./log.ts";
import type { PendingAppend } from "./pending_append.ts";
import { type StoredBatch, unpackEvent } from "./record_batch.ts";

/** The value of a `seen` key. */
export type StoredEventId = readonly [epoch: Epoch, sequence: number];

/** What an id already stands for: a kept event, or an earlier draft of the same commit. */
export interface EarlierEvent {
  readonly sequence: number;
  readonly type: string;
  readonly contentType: string;
  readonly data: string | Uint8Array;
  readonly key: string | undefined;
}

/** Returns the draft's id, unique over all channels. Neither channels nor ids contain a NUL. */
export function globalIdOf(draft: Draft): string | undefined {
  return draft.id === undefined ? undefined : `${draft.channelKey}\0${draft.id}`;
}

/** Reads the kept events that have ids of the group's drafts, by {@link globalIdOf}. */
export async function readEarlierEvents(
  kv: Deno.Kv,
  group: readonly PendingAppend[],
  channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>,
): Promise<Map<string, EarlierEvent>> {
  const earlier = new Map<string, EarlierEvent>();
  const named = new Map<string, Draft>();
  for (const { drafts } of group) {
    for (const draft of drafts) {
      const id = globalIdOf(draft);
      if (id !== undefined) named.set(id, draft);
    }
  }
  if (named.size === 0) return earlier;
  const seenKeys = Array.from(named.values(), (d) => keys.seen(d.channelKey, d.id ?? ""));
  const seen = await getMany<StoredEventId>(kv, seenKeys);
  await Promise.all([...named].map(async ([id, { channelKey }], i) => {
    const head = channels.get(channelKey)?.head;
    const [epoch, sequence] = seen[i]?.value ?? [];
    if (head === undefined || epoch !== head.epoch || sequence === undefined) return;
    if (sequence < head.first) return; // retention dropped the event, and will delete this key
    const event = await readEvent(kv, channelKey, epoch, sequence);
    if (event !== undefined) earlier.set(id, { ...event, sequence });
  }));
  return earlier;
}

/** Returns the problem of the first draft whose id belongs to a different event. */
export function findConflict(
  { drafts }: PendingAppend,
  earlier: ReadonlyMap<string, EarlierEvent>,
): Problem | undefined {
  const own = new Map<string, Draft>();
  for (let index = 0; index < drafts.length; index++) {
    const draft = drafts[index] as Draft; // index < length
    const id = globalIdOf(draft);
    if (id === undefined) continue;
    const repeated = earlier.get(id) ?? own.get(id);
    if (repeated === undefined) own.set(id, draft);
    else if (!isSameEvent(repeated, draft)) {
      const detail = `The id ${quote(draft.id ?? "")} already belongs to a different event.`;
      return new Problem("idempotency_conflict", detail, { index });
    }
  }
  return undefined;
}

type ComparedEvent = Omit<EarlierEvent, "sequence">;

function isSameEvent(a: ComparedEvent, b: ComparedEvent): boolean {
  return a.type === b.type && a.contentType === b.contentType && a.key === b.key &&
    isSameData(a.data, b.data);
}

function isSameData(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function readEvent(
  kv: Deno.Kv,
  channelKey: ChannelKey,
  epoch: Epoch,
  sequence: number,
): Promise<LogEvent | undefined> {
  const batches = kv.list<StoredBatch>({
    start: keys.batch(channelKey, epoch, sequence),
    end: keys.batch(channelKey, epoch, Number.MAX_SAFE_INTEGER),
  }, { limit: 1 });
  for await (const { value: batch } of batches) {
    const index = sequence - batch.first;
    const [data] = await loadData(kv, channelKey, batch.data.slice(index, index + 1));
    if (data !== undefined) return unpackEvent(batch, index, data);
  }
  return undefined;
}
