import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { WorkLease } from "../kv/work_lease.ts";
import {
  type Channel,
  type ChannelKey,
  channelKeyOf,
  channelOf,
  type Tenant,
} from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import { deleteBlob, type Orphan } from "./blobs.ts";
import type { StoredEventId } from "./earlier_events.ts";
import type { StoredHead } from "./head.ts";
import type { Retention } from "./log.ts";
import { dataBytes, isBlobRef, type StoredBatch } from "./record_batch.ts";
import { retentionOf } from "./retention_limits.ts";

/** How long the isolate that does retention holds it without a sign of life, in ms. */
const LEASE_MS = 30_000;
/** After so long no append still waits to commit chunks that it has written, in ms. */
const ORPHAN_MS = 60 * 60 * 1_000;

export interface RetentionOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly defaults: Retention;
  readonly now: () => number;
  /** Returns whether to delete a channel that has no events left. */
  readonly deleteWhenEmpty: (channelKey: ChannelKey) => Promise<boolean>;
  /** Deletes a channel, unless its head has changed. */
  readonly deleteChannel: (channelKey: ChannelKey, head: StoredHead) => Promise<void>;
}

/**
 * Drops what channels need not keep. First the head says what is the first kept event, and only
 * then the batches before it go: a reader that meets the hole finds in the head that it is one.
 */
export class RetentionJob {
  readonly #options: RetentionOptions;
  readonly #lease: WorkLease;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#lease = new WorkLease({
      kv: options.kv,
      work: "retention",
      leaseMs: LEASE_MS,
      now: options.now,
    });
  }

  /** One pass over all channels; nothing while another isolate is at it. */
  async pass(): Promise<void> {
    if (!await this.#lease.hold()) return;
    const { kv } = this.#options;
    for await (
      const entry of kv.list<StoredHead>({ prefix: keys.allHeads() }, { batchSize: 100 })
    ) {
      const [, tenant, channel] = entry.key;
      const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
      await this.#trim(channelKey, entry);
    }
    for await (const { key } of kv.list({ prefix: keys.sweeps() })) {
      if (!await this.#lease.hold()) return;
      const [, tenant, channel, epoch] = key;
      await this.#sweep(channelKeyOf(tenant as Tenant, channel as Channel), epoch as Epoch);
    }
    for await (const { key, value, versionstamp } of kv.list<Orphan>({ prefix: keys.orphans() })) {
      if (value.time > this.#options.now() - ORPHAN_MS) continue;
      const claim = kv.atomic().check({ key, versionstamp }).delete(key);
      const { ok } = await retryLocked(() => claim.commit());
      if (!ok) continue; // committed after all
      for (const [address, blob] of value.blobs) await deleteBlob(kv, address, blob);
    }
  }

  async release(): Promise<void> {
    await this.#lease.release();
  }

  /** Moves the first kept event of a channel forward as its limits ask. */
  async #trim(channelKey: ChannelKey, entry: Deno.KvEntry<StoredHead>): Promise<void> {
    const { kv, now, defaults, doorbell } = this.#options;
    const head = entry.value;
    if (head.first > head.last) return await this.#deleteEmpty(channelKey, head);
    const limits = retentionOf(channelOf(channelKey), head.retention, defaults);
    const oldestKept = now() - limits.age;
    const isWithin = head.oldest >= oldestKept && head.last - head.first < limits.events &&
      head.endBytes - head.startBytes <= limits.bytes;
    if (isWithin) return;
    const start = await findFirstKept(
      kv,
      channelKey,
      head,
      (event) =>
        event.sequence > head.last - limits.events && event.time >= oldestKept &&
        event.startBytes >= head.endBytes - limits.bytes,
    );
    if (start.first === head.first && start.oldest === head.oldest) return;
    const atomic = kv.atomic().check(entry)
      .set(entry.key, { ...head, ...start } satisfies StoredHead)
      .set(keys.sweep(channelKey, head.epoch), 0);
    doorbell.prepare(atomic, [channelKey]);
    const result = await retryLocked(() => atomic.commit()); // if an append was first: in the next pass
    if (result.ok) doorbell.committed([channelKey], result.versionstamp);
  }

  /** The head is read before the question is asked: an event that comes meanwhile moves it. */
  async #deleteEmpty(channelKey: ChannelKey, head: StoredHead): Promise<void> {
    const { deleteWhenEmpty, deleteChannel } = this.#options;
    if (head.deleted || !await deleteWhenEmpty(channelKey)) return;
    await deleteChannel(channelKey, head);
  }

  /** Deletes what an epoch's log has before the first kept event; all, if it is over. */
  async #sweep(channelKey: ChannelKey, epoch: Epoch): Promise<void> {
    const { kv } = this.#options;
    const marker = await kv.get(keys.sweep(channelKey, epoch));
    const head = (await kv.get<StoredHead>(keys.head(channelKey))).value;
    const isCurrent = head?.epoch === epoch;
    const end = isCurrent
      ? keys.batch(channelKey, epoch, head.first)
      : keys.batch(channelKey, epoch, Number.MAX_SAFE_INTEGER);
    const batches = kv.list<StoredBatch>({ start: keys.batch(channelKey, epoch, 0), end }, {
      batchSize: 8,
    });
    for await (const { key, value } of batches) {
      for (const data of value.data) {
        if (isBlobRef(data)) await deleteBlob(kv, channelKey, data.blob);
      }
      await this.#forgetIds(channelKey, epoch, value);
      await retryLocked(() => kv.delete(key));
    }
    const finish = kv.atomic().check(marker).delete(marker.key);
    await retryLocked(() => finish.commit()); // stays, if the head moved on
  }

  async #forgetIds(channelKey: ChannelKey, epoch: Epoch, batch: StoredBatch): Promise<void> {
    const { kv } = this.#options;
    const named = (batch.ids ?? []).flatMap((id, i) =>
      id === null ? [] : [{ key: keys.seen(channelKey, id), sequence: batch.first + i }]
    );
    for (let at = 0; at < named.length; at += KV_LIMITS.getMany) {
      const part = named.slice(at, at + KV_LIMITS.getMany);
      const entries = await kv.getMany<StoredEventId[]>(part.map(({ key }) => key));
      for (const [i, entry] of entries.entries()) {
        const [seenEpoch, sequence] = entry.value ?? [];
        // The id may belong to a later event by now.
        if (seenEpoch !== epoch || sequence !== part[i]?.sequence) continue;
        await retryLocked(() => kv.atomic().check(entry).delete(entry.key).commit());
      }
    }
  }
}

interface RetentionCandidate {
  readonly sequence: number;
  readonly time: number;
  /** Bytes of data in the epoch's log before the event. */
  readonly startBytes: number;
}

/** The first event for which `isKept` holds, as it stands in the head. */
async function findFirstKept(
  kv: Deno.Kv,
  channelKey: ChannelKey,
  head: StoredHead,
  isKept: (event: RetentionCandidate) => boolean,
): Promise<Pick<StoredHead, "first" | "oldest" | "startBytes">> {
  const batches = kv.list<StoredBatch>({
    start: keys.batch(channelKey, head.epoch, head.first),
    end: keys.batch(channelKey, head.epoch, head.last + 1),
  }, { batchSize: 8 });
  for await (const { value: batch } of batches) {
    const sizes = batch.data.map(dataBytes);
    let startBytes = batch.endBytes - sizes.reduce((sum, size) => sum + size, 0);
    for (const [i, size] of sizes.entries()) {
      const sequence = batch.first + i;
      const time = batch.time + (batch.delays?.[i] ?? 0);
      if (sequence >= head.first && isKept({ sequence, time, startBytes })) {
        return { first: sequence, oldest: time, startBytes };
      }
      startBytes += size;
    }
  }
  return { first: head.last + 1, oldest: head.time, startBytes: head.endBytes };
}
