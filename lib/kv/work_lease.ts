import { keys } from "./keys.ts";
import { untilUnlocked } from "./locked.ts";

interface Lease {
  readonly holder: string;
  readonly until: number;
}

/** Has one isolate at a time do a background work: the others come after its lease. */
export class WorkLease {
  readonly #kv: Deno.Kv;
  readonly #key: Deno.KvKey;
  readonly #milliseconds: number;
  readonly #now: () => number;
  readonly #isolate = crypto.randomUUID();
  #isHeld = false;

  /** @param milliseconds that it is held without a sign of life. */
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
    if (isOthers && entry.value.until > this.#now()) return false;
    const lease: Lease = { holder: this.#isolate, until: this.#now() + this.#milliseconds };
    const hold = this.#kv.atomic().check(entry).set(this.#key, lease);
    this.#isHeld = true; // or may be, if the store doesn't say
    return (await untilUnlocked(() => hold.commit())).ok;
  }

  /** Lets the next isolate have it at once. */
  async release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const entry = await this.#kv.get<Lease>(this.#key);
    if (entry.value?.holder !== this.#isolate) return;
    await untilUnlocked(() => this.#kv.atomic().check(entry).delete(this.#key).commit());
  }
}
