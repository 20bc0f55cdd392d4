import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";

/** How long figures are written after they were last viewed. */
const AUDIENCE_MS = 10 * 60 * 1_000;
/** Minimum time between two writes of the mark by this isolate. */
const RENEW_MS = 60 * 1_000;
/** Minimum time between two reads of the mark. */
const CHECK_MS = 3_000;

interface AudienceMark {
  /** Milliseconds since 1970, by the clock of the isolate that wrote it. */
  readonly until: number;
}

interface AudienceOptions {
  readonly kv: Deno.Kv;
  readonly now: () => number;
  readonly onError: (cause: unknown) => void;
}

/**
 * Knows whether anyone views the figures, in any isolate. The isolate that is viewed renews a mark
 * in the store, which all isolates read. A change of the mark counts from the moment at which it is
 * read, so that clocks need not agree. Only the first mark that an isolate reads is judged by its
 * time.
 */
export class Audience {
  readonly #options: AudienceOptions;
  #until = 0;
  /** The versionstamp of the mark; undefined before the first read. */
  #mark: string | null | undefined;
  #renewed = -Infinity;
  #checked = -Infinity;
  /** Reads and writes of the mark. */
  readonly #work = new SerialQueue();

  constructor(options: AudienceOptions) {
    this.#options = options;
  }

  /** Whether figures are to be written. */
  get isPresent(): boolean {
    return this.#options.now() < this.#until;
  }

  /** Reports that this isolate's figures are viewed. Writes the mark at most once per minute. */
  renew(): void {
    const { kv, now } = this.#options;
    if (Math.abs(now() - this.#renewed) < RENEW_MS) return;
    const before = this.#renewed;
    this.#renewed = now();
    this.#until = now() + AUDIENCE_MS;
    const mark: AudienceMark = { until: this.#until };
    this.#run(async () => {
      try {
        const write = () => kv.set(keys.lease("figures"), mark, { expireIn: AUDIENCE_MS });
        this.#mark = (await retryLocked(write)).versionstamp;
      } catch (cause) {
        this.#renewed = before; // the next view tries again
        throw cause;
      }
    });
  }

  /** Reads the mark, at most every few seconds: another isolate may be viewed. */
  check(): void {
    const { kv, now } = this.#options;
    if (!this.#work.isIdle || Math.abs(now() - this.#checked) < CHECK_MS) return;
    this.#checked = now();
    this.#run(async () => {
      const { value, versionstamp } = await kv.get<AudienceMark>(keys.lease("figures"));
      const [before, isNew] = [this.#mark, versionstamp !== this.#mark];
      this.#mark = versionstamp;
      if (value === null || !isNew) return;
      const until = now() + AUDIENCE_MS;
      this.#until = Math.max(
        this.#until,
        before === undefined ? Math.min(value.until, until) : until,
      );
    });
  }

  /** Resolves once no read or write is under way. */
  async close(): Promise<void> {
    await this.#work.idle();
  }

  #run(work: () => Promise<void>): void {
    void this.#work.run(() => withStoreTimeout(work()).catch(this.#options.onError));
  }
}
