import { retryLocked } from "../kv/commit_retry.ts";
import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { WorkLease } from "../kv/work_lease.ts";
import {
  type Channel,
  type ChannelKey,
  channelKeyOf,
  channelOf,
  type Tenant,
} from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import { deleteBlob, type OrphanMarker } from "./blobs.ts";
import type { StoredEventId } from "./earlier_events.ts";
import type { StoredHead } from "./head.ts";
import type { Retention } from "./log.ts";
import { dataBytes, isBlobRef, type StoredBatch } from "./record_batch.ts";
import { isKept, isWithinLimits, retentionOf } from "./retention_limits.ts";

/** How long another isolate waits for the one that does retention to renew its lease. */
const LEASE_MS = 30_000;
/** After this time no append still waits to commit the chunks that it has written. */
const ORPHAN_MS = 60 * 60 * 1_000;

interface RetentionOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** What channels keep that have no retention of their own. */
  readonly defaults: Retention;
  readonly now: () => number;
  /** Returns whether to delete a channel that has no events left. */
  readonly deleteWhenEmpty: (channelKey: ChannelKey) => Promise<boolean>;
  /** Deletes a channel, unless its head has changed. */
  readonly deleteChannel: (channelKey: ChannelKey, head: StoredHead) => Promise<void>;
}

/**
 * Deletes events that channels need not keep. The head moves to the first kept event before the
 * batches are deleted, so that a reader which finds a hole learns from the head that it is one.
 */
export class RetentionJob {
  readonly #options: RetentionOptions;
  readonly #lease: WorkLease;

  constructor(options: RetentionOptions) {
    this.#options = options;
    const { kv, now } = options;
    this.#lease = new WorkLease({ kv, work: "retention", leaseMs: LEASE_MS, now });
  }

  /** Does one pass over all channels, unless another isolate holds the lease. */
  async pass(): Promise<void> {
    if (!await this.#lease.hold()) return;
    await this.#trimAll();
    if (await this.#sweepAll()) await this.#deleteOrphans();
  }

  async release(): Promise<void> {
    await this.#lease.release();
  }

  async #trimAll(): Promise<void> {
    const heads = this.#options.kv.list<StoredHead>({ prefix: keys.allHeads() }, {
      batchSize: 100,
    });
    for await (const entry of heads) {
      const [, tenant, channel] = entry.key;
      const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
      if (entry.value.first > entry.value.last) await this.#deleteEmpty(channelKey, entry.value);
      else await this.#trim(channelKey, entry);
    }
  }

  /** Moves the head of a channel to the first event that its limits keep. */
  async #trim(channelKey: ChannelKey, entry: Deno.KvEntry<StoredHead>): Promise<void> {
    const { kv, now, defaults, doorbell } = this.#options;
    const head = entry.value;
    const limits = retentionOf(channelOf(channelKey), head.retention, defaults);
    if (isWithinLimits(head, limits, now())) return;
    const start = await this.#findFirstKept(channelKey, head, limits);
    if (start.first === head.first && start.oldest === head.oldest) return;
    const atomic = kv.atomic().check(entry)
      .set(entry.key, { ...head, ...start } satisfies StoredHead)
      .set(keys.sweep(channelKey, head.epoch), 0);
    doorbell.prepare(atomic, [channelKey]);
    const result = await retryLocked(() => atomic.commit());
    // After an append in between, the next pass trims the channel.
    if (result.ok) doorbell.committed([channelKey], result.versionstamp);
  }

  /** Finds the first kept event, and returns what the head says of it. */
  async #findFirstKept(
    channelKey: ChannelKey,
    head: StoredHead,
    limits: Retention,
  ): Promise<Pick<StoredHead, "first" | "oldest" | "startBytes">> {
    const now = this.#options.now();
    const batches = this.#options.kv.list<StoredBatch>({
      start: keys.batch(channelKey, head.epoch, head.first),
      end: keys.batch(channelKey, head.epoch, head.last + 1),
    }, { batchSize: 8 });
    for await (const { value: batch } of batches) {
      const sizes = batch.data.map(dataBytes);
      let startBytes = batch.endBytes - sizes.reduce((sum, size) => sum + size, 0);
      for (const [i, size] of sizes.entries()) {
        const sequence = batch.first + i;
        const time = batch.time + (batch.delays?.[i] ?? 0);
        const event = { sequence, time, startBytes };
        if (sequence >= head.first && isKept(event, head, limits, now)) {
          return { first: sequence, oldest: time, startBytes };
        }
        startBytes += size;
      }
    }
    return { first: head.last + 1, oldest: head.time, startBytes: head.endBytes };
  }

  /** `head` was read before deleteWhenEmpty() decides, so that any later event saves the channel. */
  async #deleteEmpty(channelKey: ChannelKey, head: StoredHead): Promise<void> {
    const { deleteWhenEmpty, deleteChannel } = this.#options;
    if (head.deleted || !await deleteWhenEmpty(channelKey)) return;
    await deleteChannel(channelKey, head);
  }

  /** Returns false if it has lost the lease before the end. */
  async #sweepAll(): Promise<boolean> {
    for await (const { key } of this.#options.kv.list({ prefix: keys.sweeps() })) {
      if (!await this.#lease.hold()) return false;
      const [, tenant, channel, epoch] = key;
      await this.#sweep(channelKeyOf(tenant as Tenant, channel as Channel), epoch as Epoch);
    }
    return true;
  }

  /** Deletes the batches of an epoch before the first kept event; all of them if it has ended. */
  async #sweep(channelKey: ChannelKey, epoch: Epoch): Promise<void> {
    const { kv } = this.#options;
    const marker = await kv.get(keys.sweep(channelKey, epoch));
    const head = (await kv.get<StoredHead>(keys.head(channelKey))).value;
    const end = head?.epoch === epoch ? head.first : Number.MAX_SAFE_INTEGER;
    const batches = kv.list<StoredBatch>({
      start: keys.batch(channelKey, epoch, 0),
      end: keys.batch(channelKey, epoch, end),
    }, { batchSize: 8 });
    for await (const { key, value } of batches) {
      for (const data of value.data) {
        if (isBlobRef(data)) await deleteBlob(kv, channelKey, data.blob);
      }
      await this.#deleteIds(channelKey, epoch, value);
      await retryLocked(() => kv.delete(key));
    }
    // If the head has moved again meanwhile, the marker was set again, and stays.
    const finish = kv.atomic().check(marker).delete(marker.key);
    await retryLocked(() => finish.commit());
  }

  async #deleteIds(channelKey: ChannelKey, epoch: Epoch, batch: StoredBatch): Promise<void> {
    const { kv } = this.#options;
    const named = (batch.ids ?? []).flatMap((id, i) =>
      id === null ? [] : [{ key: keys.seen(channelKey, id), sequence: batch.first + i }]
    );
    for (let at = 0; at < named.length; at += KV_LIMITS.getMany) {
      const part = named.slice(at, at + KV_LIMITS.getMany);
      const entries = await kv.getMany<StoredEventId[]>(part.map(({ key }) => key));
      for (const [i, entry] of entries.entries()) {
        const [seenEpoch, sequence] = entry.value ?? [];
        // A later event may have the same id.
        if (seenEpoch !== epoch || sequence !== part[i]?.sequence) continue;
        await retryLocked(() => kv.atomic().check(entry).delete(entry.key).commit());
      }
    }
  }

  /** Deletes chunks whose events were never committed. */
  async #deleteOrphans(): Promise<void> {
    const { kv, now } = this.#options;
    for await (const entry of kv.list<OrphanMarker>({ prefix: keys.orphans() })) {
      if (entry.value.time > now() - ORPHAN_MS) continue;
      const claim = kv.atomic().check(entry).delete(entry.key);
      const { ok } = await retryLocked(() => claim.commit());
      if (!ok) continue; // the events were committed after all
      for (const [channelKey, blob] of entry.value.blobs) await deleteBlob(kv, channelKey, blob);
    }
  }
}
