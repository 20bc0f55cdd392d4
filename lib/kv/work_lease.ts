import { keys } from "./keys.ts";
import { retryLocked } from "./commit_retry.ts";

interface Lease {
  readonly holder: string;
}

/** Another's lease as it was first seen. */
interface Seen {
  readonly versionstamp: string;
  readonly at: number;
}

/**
 * Has one isolate at a time do a background work. The others come once its lease hasn't changed for
 * its time since they first saw it so: clocks of machines are not compared. Where the holder was only
 * held up, two may be at it for a moment, so that the work must bear that.
 */
export class WorkLease {
  readonly #kv: Deno.Kv;
  readonly #key: Deno.KvKey;
  readonly #milliseconds: number;
  readonly #now: () => number;
  readonly #isolate = crypto.randomUUID();
  #isHeld = false;
  #seen: Seen | undefined;

  /**
   * @param milliseconds that it is held without a sign of life.
   * @param now milliseconds by a clock of this isolate.
   */
  constructor(kv: Deno.Kv, work: string, milliseconds: number, now: () => number) {
    this.#kv = kv;
    this.#key = keys.lease(work);
    this.#milliseconds = milliseconds;
    this.#now = now;
  }

  /** Takes or prolongs it; false while another isolate has it. */
  async hold(): Promise<boolean> {
    const entry = await this.#kv.get<Lease>(this.#key);
    const isOthers = entry.value !== null && entry.value.holder !== this.#isolate;
    if (isOthers && !this.#isOver(entry.versionstamp)) return false;
    const lease: Lease = { holder: this.#isolate };
    const hold = this.#kv.atomic().check(entry).set(this.#key, lease);
    this.#isHeld = true; // or may be, if the store doesn't say
    return (await retryLocked(() => hold.commit())).ok;
  }

  /** Lets the next isolate have it at once. */
  async release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const entry = await this.#kv.get<Lease>(this.#key);
    if (entry.value?.holder !== this.#isolate) return;
    await retryLocked(() => this.#kv.atomic().check(entry).delete(this.#key).commit());
  }

  #isOver(versionstamp: string): boolean {
    const at = this.#now();
    if (this.#seen?.versionstamp !== versionstamp) this.#seen = { versionstamp, at };
    return Math.abs(at - this.#seen.at) >= this.#milliseconds; // a clock may be set back
  }
}
