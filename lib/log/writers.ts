/** Bounds of the time for which an isolate waits for the next commit of another. */
const MIN_TIMEOUT_MS = 2;
const MAX_TIMEOUT_MS = 50;
/** How much longer than usual another's commit may take. */
const PATIENCE = 2.5;
/** What another's commit takes until it is measured, in ms. */
const FIRST_GUESS_MS = 8;
/** Share of a new measurement in the average. */
const WEIGHT = 0.2;
/** An isolate whose turns timed out is waited for again after 2, 4 or at most 2 ** this commits. */
const MAX_MISSES = 3;

/** Another isolate that appends to a channel. */
export interface OtherWriter {
  /** The versionstamp of its last commit; empty if none is known. */
  versionstamp: string;
  /** Whether it is expected to commit soon. */
  isAwaited: boolean;
  /** How many of its turns in a row have timed out. */
  misses: number;
  /** Number of its commits after which it is waited for again. */
  skips: number;
}

/** The isolates that append to a channel, and whose turn it is. */
export class Writers {
  readonly #others = new Map<string, OtherWriter>();
  /** One whose commit was noticed, and whose news have not come. */
  #unheard: OtherWriter | undefined;
  /** The versionstamp of this isolate's last commit. */
  #own = "";
  #commitMs = FIRST_GUESS_MS;

  /** How long to wait for {@link next}. */
  get timeoutMs(): number {
    return Math.min(Math.max(this.#commitMs * PATIENCE, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS);
  }

  /** Notices a commit of this isolate. */
  committed(versionstamp: string): void {
    if (versionstamp > this.#own) this.#own = versionstamp;
  }

  /** Notices a commit of another isolate. */
  heard(isolate: string, versionstamp: string): void {
    if (versionstamp >= (this.#unheard?.versionstamp ?? "")) this.#unheard = undefined;
    const other = this.#other(isolate);
    if (versionstamp <= other.versionstamp) return;
    other.versionstamp = versionstamp;
    if (other.skips > 0) other.skips--;
    else {
      if (other.isAwaited) other.misses = 0;
      other.isAwaited = true;
    }
  }

  /** Notices a commit of an unknown isolate. */
  noticed(versionstamp: string): void {
    const isHeard = this.#others.values().some((other) => other.versionstamp >= versionstamp);
    if (!isHeard) this.#unheard = { versionstamp, isAwaited: true, misses: 0, skips: 0 };
  }

  /** Notices that another isolate cannot commit because of others. */
  asked(isolate: string): void {
    const other = this.#other(isolate);
    other.isAwaited = true;
    other.skips = 0;
  }

  /** Notices how long the next commit of another isolate was waited for. */
  heardAfter(ms: number): void {
    this.#commitMs += (Math.min(ms, MAX_TIMEOUT_MS) - this.#commitMs) * WEIGHT;
  }

  /** Notices that the turn of `other` has timed out. */
  missed(other: OtherWriter): void {
    if (other === this.#unheard) this.#unheard = undefined;
    other.isAwaited = false;
    other.misses = Math.min(other.misses + 1, MAX_MISSES);
    other.skips = 2 ** other.misses - 1;
  }

  /** Returns the isolate that commits before this one, or undefined if it is this one's turn. */
  next(): OtherWriter | undefined {
    let next: OtherWriter | undefined;
    if (this.#unheard !== undefined && this.#unheard.versionstamp < this.#own) next = this.#unheard;
    for (const other of this.#others.values()) {
      if (!other.isAwaited || other.versionstamp >= this.#own) continue;
      if (next === undefined || other.versionstamp < next.versionstamp) next = other;
    }
    return next;
  }

  #other(isolate: string): OtherWriter {
    let other = this.#others.get(isolate);
    if (other === undefined) {
      other = { versionstamp: "", isAwaited: false, misses: 0, skips: 0 };
      this.#others.set(isolate, other);
    }
    return other;
  }
}
