import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import type { StoreTraits } from "../kv/limits.ts";
import { pause } from "../shared/async/delay.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";

/** How long another import of the channel waits for a renewal of the lease. */
const LEASE_MS = 10_000;
const RENEWAL_INTERVAL_MS = LEASE_MS / 3;
const CHECK_INTERVAL_MS = 100;
/** How long an import that was interrupted can be continued. Then its rows are deleted. */
const CONTINUATION_MS = 60 * 60 * 1_000;

/**
 * What a mark for the sweep says of the rows of an epoch: `0`, that batches before the first kept
 * event wait for deletion; `import`, that an import writes them; `ended_import`, that it was given
 * up, so that all of them wait for deletion.
 */
export type SweepMark = 0 | "import" | "ended_import";

const TAKEN_OVER = "another import of it has begun, or this one made no progress for an hour";

interface StoredImportLease {
  readonly epoch: Epoch;
  /** The time of the last renewal, in ms since 1970. */
  readonly time: number;
  /** False once its holder has released it. */
  readonly isHeld: boolean;
}

export interface ImportLeaseOptions {
  readonly kv: Deno.Kv;
  readonly traits: Pick<StoreTraits, "isShared">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Called if another import of a channel has a lease that may end. */
  readonly onWaiting?: () => void;
}

/** Why a channel cannot be imported. Its message is a sentence about it, without its name. */
export class ImportRefusedError extends Error {
  override readonly name = "ImportRefusedError";
}

/**
 * Waits until no import of the channel runs, and returns the row of its lease. A file is open in one
 * process only, so there the lease is one that a killed import has left.
 *
 * @throws {ImportRefusedError} once the holder renews the lease.
 */
export async function awaitImportLease(
  { kv, traits, onWaiting }: ImportLeaseOptions,
  channelKey: ChannelKey,
): Promise<Deno.KvEntryMaybe<StoredImportLease>> {
  const read = () => kv.get<StoredImportLease>(keys.importLease(channelKey));
  const end = performance.now() + LEASE_MS;
  const found = await read();
  let entry = found;
  if (traits.isShared && found.value?.isHeld === true) onWaiting?.();
  while (traits.isShared && entry.value?.isHeld === true && performance.now() < end) {
    await pause(CHECK_INTERVAL_MS);
    entry = await read();
    if (entry.value?.isHeld === true && entry.versionstamp !== found.versionstamp) {
      throw new ImportRefusedError("another import of it is running");
    }
  }
  return entry;
}

/**
 * Reserves a channel for one import. The mark for the sweep, which is written with the lease, makes
 * retention delete what the import leaves if it never ends. Every commit of the import checks the
 * mark. Retention and other imports change it when they take the channel over, so that a delayed
 * import writes nothing afterwards.
 */
export class ImportLease implements AsyncDisposable {
  readonly #options: ImportLeaseOptions;
  readonly #channelKey: ChannelKey;
  readonly #epoch: Epoch;
  readonly #mark: Deno.AtomicCheck;
  readonly #timer: ReturnType<typeof setInterval>;
  #renewing: Promise<void> | undefined;
  #hasEnded = false;

  private constructor(
    options: ImportLeaseOptions,
    channelKey: ChannelKey,
    epoch: Epoch,
    mark: Deno.AtomicCheck,
  ) {
    this.#options = options;
    this.#channelKey = channelKey;
    this.#epoch = epoch;
    this.#mark = mark;
    this.#timer = setInterval(() => {
      this.#renewing ??= this.#renew();
    }, RENEWAL_INTERVAL_MS);
  }

  /**
   * Takes the lease that {@link awaitImportLease} has returned.
   *
   * @param row changes if the channel is created.
   * @throws {ImportRefusedError}
   */
  static async take(
    options: ImportLeaseOptions,
    { channelKey, epoch, lease, row }: {
      readonly channelKey: ChannelKey;
      readonly epoch: Epoch;
      readonly lease: Deno.KvEntryMaybe<StoredImportLease>;
      readonly row: Deno.AtomicCheck;
    },
  ): Promise<ImportLease> {
    const { kv, now } = options;
    const mark = await kv.get<SweepMark>(keys.sweep(channelKey, epoch));
    if (mark.value !== null && mark.value !== "import") {
      throw new ImportRefusedError("its events of before are being deleted. Try again in a minute");
    }
    const held: StoredImportLease = { epoch, time: now(), isHeld: true };
    const atomic = kv.atomic().check(row, mark, lease)
      .set(mark.key, "import" satisfies SweepMark)
      .set(lease.key, held);
    if (lease.value !== null && lease.value.epoch !== epoch) {
      const other = keys.sweep(channelKey, lease.value.epoch);
      atomic.set(other, "ended_import" satisfies SweepMark);
    }
    const result = await retryLocked(() => atomic.commit());
    if (!result.ok) throw new ImportRefusedError("another import of it has just begun");
    const { key } = mark;
    const { versionstamp } = result;
    return new ImportLease(options, channelKey, epoch, { key, versionstamp });
  }

  /** @throws {ImportRefusedError} if the channel was taken over. Then nothing is committed. */
  async commit(atomic: Deno.AtomicOperation): Promise<void> {
    atomic.check(this.#mark);
    const { ok } = await retryLocked(() => atomic.commit());
    if (!ok) throw new ImportRefusedError(TAKEN_OVER);
  }

  /**
   * Does the commit that makes the channel appear, and ends the import.
   *
   * @throws {ImportRefusedError} if the channel was created meanwhile, or was taken over.
   */
  async end(atomic: Deno.AtomicOperation): Promise<Deno.KvCommitResult> {
    await this.#stop();
    atomic.check(this.#mark)
      .delete(this.#mark.key)
      .delete(keys.importLease(this.#channelKey));
    const result = await retryLocked(() => atomic.commit());
    if (!result.ok) {
      const isOwn = await this.abandon();
      throw new ImportRefusedError(isOwn ? "it was created meanwhile" : TAKEN_OVER);
    }
    this.#hasEnded = true;
    return result;
  }

  /** Lets retention delete what was written. Returns false if the channel was taken over. */
  async abandon(): Promise<boolean> {
    await this.#stop();
    this.#hasEnded = true;
    const atomic = this.#options.kv.atomic().check(this.#mark)
      .set(this.#mark.key, "ended_import" satisfies SweepMark)
      .delete(keys.importLease(this.#channelKey));
    return (await retryLocked(() => atomic.commit())).ok;
  }

  /** Releases the lease, so that the import can be continued at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    if (!this.#hasEnded) await this.#write(false).catch(() => {}); // it expires
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    await this.#write(true).catch(() => {}); // the next commit checks the mark
    this.#renewing = undefined;
  }

  async #write(isHeld: boolean): Promise<void> {
    const { kv, now } = this.#options;
    const lease: StoredImportLease = { epoch: this.#epoch, time: now(), isHeld };
    const atomic = kv.atomic().check(this.#mark).set(keys.importLease(this.#channelKey), lease);
    await retryLocked(() => atomic.commit());
  }
}

/**
 * Ends an import that nobody has continued for an hour. Returns its mark, or undefined if the import
 * may still run or be continued.
 *
 * @param time in ms since 1970.
 */
export async function endLostImport(
  kv: Deno.Kv,
  mark: Deno.KvEntry<SweepMark>,
  { channelKey, epoch, time }: {
    readonly channelKey: ChannelKey;
    readonly epoch: Epoch;
    readonly time: number;
  },
): Promise<Deno.KvEntry<SweepMark> | undefined> {
  const lease = await kv.get<StoredImportLease>(keys.importLease(channelKey));
  const own = lease.value?.epoch === epoch ? lease.value : undefined;
  if (own !== undefined && own.time > time - CONTINUATION_MS) return undefined;
  const value: SweepMark = "ended_import";
  const atomic = kv.atomic().check(mark, lease).set(mark.key, value);
  if (own !== undefined) atomic.delete(lease.key);
  const result = await retryLocked(() => atomic.commit());
  return result.ok ? { key: mark.key, value, versionstamp: result.versionstamp } : undefined;
}
