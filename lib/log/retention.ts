import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { type KeyPart, readableRows } from "../kv/readable_rows.ts";
import { isFull, storageProblem } from "../kv/storage_problem.ts";
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
import { sweepEpoch, sweepUnfinished } from "./epoch_sweep.ts";
import { findFirstKept, type LogStart } from "./first_kept.ts";
import type { StoredHead } from "./head.ts";
import { endLostImport, type SweepMark } from "./import_lease.ts";
import type { Retention } from "./log.ts";
import { RetentionClock } from "./retention_clock.ts";
import { isWithinLimits, neededMark, retentionOf } from "./retention_limits.ts";
import { RowDeletion } from "./row_deletion.ts";

/** How long another isolate waits for the one that does retention to renew its lease. */
const LEASE_MS = 30_000;
/** After this time no append still waits to commit the chunks that it has written. */
const ORPHAN_MS = 60 * 60 * 1_000;

/** Problems of one pass that are reported one by one. Guards the server's log against a flood. */
const MAX_REPORTS = 10;

interface RetentionOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Checks that a commit of this store may have. */
  readonly maxChecks: number;
  /** What channels keep that have no retention of their own. */
  readonly defaults: Retention;
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  /** Does `work`, which changes the channel's head, while no append of this isolate does. */
  readonly exclusively: <T>(channelKey: ChannelKey, work: () => Promise<T>) => Promise<T>;
  /** Returns whether to delete a channel that has no events left. */
  readonly deleteWhenEmpty: (channelKey: ChannelKey) => Promise<boolean>;
  /** Deletes a channel, unless its head has changed. */
  readonly deleteChannel: (channelKey: ChannelKey, head: StoredHead) => Promise<void>;
  /** Receives how many bytes a commit has deleted. @default does nothing */
  readonly onFreed?: (bytes: number) => void;
  /** Receives what a pass has skipped, such as rows that cannot be read. */
  readonly onWarning: (message: string, cause?: unknown) => void;
}

/**
 * Deletes events that channels need not keep. The head moves to the first kept event before the
 * batches are deleted, so that a reader which finds a hole learns from the head that it is one.
 *
 * A channel or row that fails is skipped, so that it does not keep the others from their retention.
 */
export class RetentionJob {
  readonly #options: RetentionOptions;
  readonly #lease: WorkLease;
  readonly #clock: RetentionClock;
  #heldAt = -Infinity;
  /** The time of the running pass, in ms since 1970. */
  #time = 0;
  /** What the running pass has skipped. */
  #skipped = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
    const { kv, now } = options;
    this.#clock = new RetentionClock(options);
    this.#lease = new WorkLease({ kv, work: "retention", leaseMs: LEASE_MS, now });
  }

  /** Does one pass over all channels, unless another isolate holds the lease. */
  async pass(): Promise<void> {
    this.#heldAt = -Infinity;
    this.#skipped = 0;
    if (!await this.#hold()) return;
    this.#time = await this.#clock.time();
    if (await this.#trimAll() && await this.#sweepAll()) await this.#deleteOrphans();
    if (this.#skipped > MAX_REPORTS) {
      this.#options.onWarning(`retention skipped ${this.#skipped} rows or channels in one pass`);
    }
  }

  async release(): Promise<void> {
    await this.#lease.release();
  }

  /** Renews the lease from time to time. Returns false if another isolate has it. */
  async #hold(): Promise<boolean> {
    const now = this.#options.now();
    if (Math.abs(now - this.#heldAt) < LEASE_MS / 3) return true;
    if (!await this.#lease.hold()) return false;
    this.#heldAt = now;
    return true;
  }

  /** Returns false if it has lost the lease before the end. */
  async #trimAll(): Promise<boolean> {
    const heads = this.#rows<StoredHead>(keys.allHeads(), ["string", "string"], 100);
    for await (const { key, value: head } of heads) {
      if (!await this.#hold()) return false;
      const [, tenant, channel] = key;
      const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
      await this.#attempt(key, async () => {
        if (head.first > head.last) await this.#deleteEmpty(channelKey, head);
        else await this.#trim(channelKey, head);
      });
    }
    return true;
  }

  /** Moves the head of a channel to the first event that its limits keep. */
  async #trim(channelKey: ChannelKey, listed: StoredHead): Promise<void> {
    const { kv, defaults, exclusively } = this.#options;
    const now = this.#time;
    const limits = retentionOf(channelOf(channelKey), listed.retention, defaults);
    const mark = neededMark(listed, limits, now);
    const isWithin = isWithinLimits(listed, limits, now);
    if (isWithin && mark === undefined) return;
    const start = isWithin
      ? listed
      : await findFirstKept({ kv, channelKey, head: listed, limits, now });
    const { first, oldest, startBytes } = start;
    if (first === listed.first && oldest === listed.oldest && mark === undefined) return;
    const changes = { first, oldest, startBytes, ...mark !== undefined && { mark } };
    await retryConflicts(
      () => exclusively(channelKey, () => this.#moveStart(channelKey, listed, changes)),
      "Appends always come before retention.",
    );
  }

  /**
   * Moves the first kept event, which was found for an earlier head: events that were appended since
   * come after it.
   */
  async #moveStart(
    channelKey: ChannelKey,
    before: StoredHead,
    changes: LogStart & Pick<StoredHead, "mark">,
  ): Promise<void> {
    const { kv, doorbell } = this.#options;
    const entry = await kv.get<StoredHead>(keys.head(channelKey));
    const head = entry.value;
    if (head === null || head.epoch !== before.epoch || head.first !== before.first) return;
    // Other limits may keep more.
    if (!isSameRetention(head.retention, before.retention)) return;
    const atomic = kv.atomic().check(entry)
      .set(entry.key, { ...head, ...changes } satisfies StoredHead)
      .set(keys.sweep(channelKey, head.epoch), 0);
    doorbell.prepare(atomic, [{ channelKey }]);
    const result = await retryLocked(() => atomic.commit());
    if (!result.ok) throw new ConflictError();
    doorbell.committed([{ channelKey }], result.versionstamp);
  }

  /** `head` was read before deleteWhenEmpty() decides, so that any later event saves the channel. */
  async #deleteEmpty(channelKey: ChannelKey, head: StoredHead): Promise<void> {
    const { deleteWhenEmpty, deleteChannel } = this.#options;
    if (head.deleted || !await deleteWhenEmpty(channelKey)) return;
    await deleteChannel(channelKey, head);
  }

  /** Returns false if it has lost the lease before the end. */
  async #sweepAll(): Promise<boolean> {
    const markers = this.#rows<SweepMark>(keys.sweeps(), ["string", "string", "string"], 100);
    for await (const marker of markers) {
      if (!await this.#hold()) return false;
      await this.#attempt(marker.key, () => this.#sweep(marker));
    }
    return true;
  }

  async #sweep(found: Deno.KvEntry<SweepMark>): Promise<void> {
    const { kv } = this.#options;
    const channelKey = channelKeyOf(found.key[1] as Tenant, found.key[2] as Channel);
    const epoch = found.key[3] as Epoch;
    const marker = found.value === "import"
      ? await endLostImport(kv, found, { channelKey, epoch, time: this.#time })
      : found;
    if (marker === undefined) return;
    const options = {
      kv,
      channelKey,
      epoch,
      deletion: new RowDeletion(this.#options),
      mayContinue: () => this.#hold(),
      onUnreadable: (key: Deno.KvKey, cause: unknown) => this.#skip(key, cause),
    };
    if (!await sweepEpoch(options)) return;
    if (marker.value === "ended_import" && !await sweepUnfinished(options)) return;
    // If the head has moved again meanwhile, the marker was set again, and stays.
    const finish = kv.atomic().check(marker).delete(marker.key);
    await retryLocked(() => finish.commit());
  }

  /** Deletes chunks whose events were never committed. */
  async #deleteOrphans(): Promise<void> {
    const { kv } = this.#options;
    for await (const entry of this.#rows<OrphanMarker>(keys.orphans(), ["string"], 100)) {
      await this.#attempt(entry.key, async () => {
        if (entry.value.time > this.#time - ORPHAN_MS) return;
        const claim = kv.atomic().check(entry).delete(entry.key);
        const { ok } = await retryLocked(() => claim.commit());
        if (!ok) return; // the events were committed after all
        const deletion = new RowDeletion(this.#options);
        for (const [channelKey, blob] of entry.value.blobs) {
          await deleteBlob(kv, deletion, channelKey, blob);
        }
        await deletion.flush();
      });
    }
  }

  /** Lists rows, without those that cannot be read. */
  #rows<T>(prefix: Deno.KvKey, parts: readonly KeyPart[], batchSize: number) {
    const onUnreadable = (key: Deno.KvKey, cause: unknown) => this.#skip(key, cause);
    return readableRows<T>(this.#options.kv, { prefix, parts, batchSize, onUnreadable });
  }

  /** Does the work of one row. An error is reported and ends only that work. */
  async #attempt(key: Deno.KvKey, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      if (isFull(storageProblem(cause))) throw cause; // the other rows would fail too
      this.#skip(key, cause);
    }
  }

  #skip(key: Deno.KvKey, cause: unknown): void {
    if (++this.#skipped > MAX_REPORTS) return;
    this.#options.onWarning(`retention skipped ${key.join("/")}`, cause);
  }
}

function isSameRetention(a: Partial<Retention>, b: Partial<Retention>): boolean {
  return a.age === b.age && a.events === b.events && a.bytes === b.bytes;
}
