import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";

/** How long it counts as being looked at after somebody looked, in ms. */
const LOOK_MS = 10 * 60 * 1_000;
/** Between two times that this isolate writes so, in ms. */
const RENEW_MS = 60 * 1_000;
/** Between two times that it reads whether others have, in ms. */
const CHECK_MS = 3_000;

interface AudienceMark {
  /** Milliseconds since 1970, by the clock of who wrote it. */
  readonly until: number;
}

interface AudienceOptions {
  readonly kv: Deno.Kv;
  readonly now: () => number;
  readonly onError: (cause: unknown) => void;
}

/**
 * Whether somebody looks at the figures, anywhere: a mark in the store, which all isolates read.
 * That it changes tells, whatever the clock of who wrote it says; only of one that was there before
 * the isolate itself must its time be believed.
 */
export class Audience {
  readonly #options: AudienceOptions;
  #until = 0;
  /** The mark's versionstamp; undefined before the first look at it. */
  #mark: string | null | undefined;
  #renewed = -Infinity;
  #checked = -Infinity;
  /** Reads and writes of the mark. */
  readonly #work = new SerialQueue();

  constructor(options: AudienceOptions) {
    this.#options = options;
  }

  get isPresent(): boolean {
    return this.#options.now() < this.#until;
  }

  /** Somebody looks at this isolate's. Writes so at most once a minute. */
  renew(): void {
    const { kv, now } = this.#options;
    if (Math.abs(now() - this.#renewed) < RENEW_MS) return;
    const before = this.#renewed;
    this.#renewed = now();
    this.#until = now() + LOOK_MS;
    const mark: AudienceMark = { until: this.#until };
    this.#do(async () => {
      try {
        const write = () => kv.set(keys.lease("figures"), mark, { expireIn: LOOK_MS });
        this.#mark = (await retryLocked(write)).versionstamp;
      } catch (cause) {
        this.#renewed = before; // the next look tries again
        throw cause;
      }
    });
  }

  /** Reads each few seconds whether somebody looks at another isolate's. */
  check(): void {
    const { kv, now } = this.#options;
    if (!this.#work.isIdle || Math.abs(now() - this.#checked) < CHECK_MS) return;
    this.#checked = now();
    this.#do(async () => {
      const { value, versionstamp } = await kv.get<AudienceMark>(keys.lease("figures"));
      const [before, isNew] = [this.#mark, versionstamp !== this.#mark];
      this.#mark = versionstamp;
      if (value === null || !isNew) return;
      const until = now() + LOOK_MS;
      this.#until = Math.max(
        this.#until,
        before === undefined ? Math.min(value.until, until) : until,
      );
    });
  }

  /** When nothing is under way any more. */
  async close(): Promise<void> {
    await this.#work.idle();
  }

  #do(work: () => Promise<void>): void {
    void this.#work.run(() => withStoreTimeout(work()).catch(this.#options.onError));
  }
}
