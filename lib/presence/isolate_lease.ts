import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";

/** Between two signs of life, in ms. */
const RENEW_MS = 5_000;
/**
 * How long an isolate counts as living after its last sign of life, in ms: two of them may fail, and
 * the clients of one that died have the grace time to come back elsewhere.
 */
export const ISOLATE_LEASE_MS = 18_000;

/** The value of an isolate's row. */
export interface StoredLease {
  /** Milliseconds since 1970, by the isolate's own clock. */
  readonly until: number;
  /** Milliseconds that it is good for since it was written. */
  readonly lease: number;
  /** Another isolate has found it over, and takes the members out. */
  readonly isOver: boolean;
  /** They are out: what is still to come are commits that arrive late. */
  readonly isCleared?: boolean;
}

export interface IsolateLeaseOptions {
  readonly kv: Deno.Kv;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  /** Told that others took this isolate for dead: it has another id, and none of its members. */
  readonly onLost: () => void;
}

/** That this isolate lives, for others to see: its members stay as long as it says so. */
export class IsolateLease {
  readonly #options: IsolateLeaseOptions;
  readonly #turns = new SerialQueue();
  #id: string = crypto.randomUUID();
  #isHeld = false;
  #renewedAt = -Infinity;
  /** Of its row as it wrote it last. */
  #versionstamp: string | null = null;
  #isDoubtful = false;

  constructor(options: IsolateLeaseOptions) {
    this.#options = options;
  }

  /** In the rows of its members. Another one, once it was taken for dead. */
  get id(): string {
    return this.#id;
  }

  /** Sees to it that it is held, before a member is written. @throws {Problem} `storage_*` */
  async ensureHeld(): Promise<void> {
    while (!this.#isFresh()) await this.#inTurn(() => this.#renew());
  }

  /** A commit that names the id may arrive at any time, whether anyone still waits for it or not. */
  markUncertain(): void {
    this.#isDoubtful = true;
  }

  /**
   * Gives it up: there are no members. In doubt it is left to end by itself, so that others look for
   * what arrives, and the isolate has another id.
   *
   * @throws {Problem} `storage_*`
   */
  async release(isStillUnused: () => boolean): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#isHeld || !isStillUnused()) return;
      this.#renewedAt = -Infinity; // whoever needs it from here on comes after this
      if (this.#isDoubtful || !await this.#delete()) this.#change();
      else this.#isHeld = false;
    });
  }

  /** For the last time: it ends after `milliseconds`. @throws {Problem} `storage_*` */
  async shorten(milliseconds: number): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#isHeld) await this.#write(milliseconds);
    });
  }

  /** Not a row that was written since: who waited out an outage for this may hold it again. */
  async #delete(): Promise<boolean> {
    const key = keys.isolate(this.#id);
    const { kv } = this.#options;
    const removal = kv.atomic().check({ key, versionstamp: this.#versionstamp }).delete(key);
    return (await retryLocked(() => removal.commit())).ok;
  }

  /** What the old id stands for is for others to look after. */
  #change(): void {
    this.#id = crypto.randomUUID();
    this.#isHeld = this.#isDoubtful = false;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    return this.#turns.run(() => withStoreTimeout(work()));
  }

  #isFresh(): boolean {
    return this.#isHeld && this.#options.monotonicNow() - this.#renewedAt < RENEW_MS;
  }

  async #renew(): Promise<void> {
    if (!this.#isFresh()) await this.#write(ISOLATE_LEASE_MS);
  }

  async #write(lease: number): Promise<void> {
    const { kv, now, monotonicNow, onLost } = this.#options;
    const startedAt = monotonicNow();
    const id = this.#id;
    const entry = await kv.get<StoredLease>(keys.isolate(id));
    if (id !== this.#id) return; // of a call that was waited out, and answered after the next
    const isLost = entry.value === null ? this.#isHeld : entry.value.isOver;
    if (isLost) {
      this.#change();
      onLost();
      return;
    }
    const row: StoredLease = { until: now() + lease, lease, isOver: false };
    const renewal = kv.atomic().check(entry).set(entry.key, row);
    const result = await retryLocked(() => renewal.commit());
    if (!result.ok || id !== this.#id) return; // others were first: the next look tells
    this.#versionstamp = result.versionstamp;
    this.#isHeld = true;
    this.#renewedAt = startedAt;
  }
}
