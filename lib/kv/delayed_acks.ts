import { setImmediate } from "node:timers";
import { pause } from "../shared/async/delay.ts";
import { keySize, valueSize } from "./value_size.ts";

/** Time between two looks at a connection that has requests under way. */
const INTERVAL_MS = 1;
/** A connection on which nothing was sent for this long gets a filler read. */
const QUIET_MS = 4;
/** Filler reads under way on a connection. Guards against piling up reads while the store does not answer. */
const MAX_READS = 4;
/** Default timeout of {@link PromptKv.drain}. */
const DRAIN_TIMEOUT_MS = 1_000;
/** A key without a value. */
const FILLER_KEY: Deno.KvKey = ["-"];
/**
 * The runtime writes the headers and the body of a request separately from 1,024 bytes on. Sizes are
 * estimates.
 */
const LARGE_COMMIT_BYTES = 980;
/** What KV Connect adds to the key and the value of a check or mutation, at most. */
const OPERATION_BYTES = 26;

interface PromptKv {
  /** The store, with each request on a connection that has no other, if there is one. */
  readonly kv: Deno.Kv;
  /**
   * Ends the filler reads and waits until no request is under way, for at most `timeoutMs` (1,000 by
   * default). Returns false if a request is still under way: the handles must not be closed then,
   * because the runtime's client would use a whole core until the process ends.
   */
  drain(timeoutMs?: number): Promise<boolean>;
}

/**
 * Avoids waiting for delayed TCP acknowledgements on KV Connect. A side that has sent a small packet
 * sends no further one before the first is acknowledged (Nagle's algorithm), and the other side
 * acknowledges with what it sends next, or after 44 ms. There are three such cases:
 *
 * - Several requests on one connection: the second answer waits. So requests are spread over
 *   `handles`, each of which has a connection. Where one has several all the same, a tiny filler
 *   read follows each answer.
 * - A commit of 1 KiB or more, whose body is a packet of its own. It goes right behind a filler
 *   read, whose answer acknowledges the headers.
 * - An answer in several packets. A connection that is quiet for 4 ms gets a filler read.
 *
 * docs/performance.md has measurements, and what else was tried.
 */
export function avoidDelayedAcks(handles: readonly Deno.Kv[]): PromptKv {
  const [first] = handles;
  if (first === undefined) throw new Error("avoidDelayedAcks() needs a handle.");
  const connections = handles.map((handle) => new Connection(handle));
  /** Returns the connection with the fewest requests; the first of them, so that few are in use. */
  const next = () => connections.reduce((best, other) => other.load < best.load ? other : best);

  const kv = new Proxy(first, {
    get(target, name) {
      switch (name) {
        case "get":
        case "getMany":
        case "set":
        case "delete":
          return (...args: unknown[]) => {
            const connection = next();
            const method = connection.kv[name] as (...args: unknown[]) => Promise<unknown>;
            return connection.request(() => method.apply(connection.kv, args));
          };
        case "list":
          return (...args: Parameters<Deno.Kv["list"]>) => {
            const connection = next();
            const entries = connection.kv.list(...args);
            const nextEntry = entries.next.bind(entries);
            entries.next = () => connection.request(nextEntry);
            return entries;
          };
        case "atomic":
          return () => next().atomic();
        default: {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        }
      }
    },
  });

  return {
    kv,
    async drain(timeoutMs = DRAIN_TIMEOUT_MS) {
      for (const connection of connections) connection.stopFillers();
      const end = performance.now() + timeoutMs;
      const isBusy = () => connections.some(({ load }) => load > 0);
      // Checked between turns of the event loop: an answered caller may send its next request.
      while (isBusy() && performance.now() < end) await pause(INTERVAL_MS);
      return !isBusy();
    },
  };
}

/** One connection to a KV server, and the filler reads that its requests need. */
class Connection {
  #requests = 0;
  #fillerReads = 0;
  /** Whether an answer came after the last packet that was sent: its acknowledgement waits. */
  #owesAck = false;
  #sentAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDraining = false;

  constructor(readonly kv: Deno.Kv) {}

  /** The number of requests under way. */
  get load(): number {
    return this.#requests + this.#fillerReads;
  }

  async request<T>(send: () => Promise<T>): Promise<T> {
    this.#requests++;
    this.#sent();
    if (!this.#isDraining) this.#timer ??= setTimeout(() => this.#look(), INTERVAL_MS);
    try {
      return await send();
    } finally {
      this.#requests--;
      this.#owesAck = true;
    }
  }

  /** Begins a commit on this connection. */
  atomic(): Deno.AtomicOperation {
    const atomic = this.kv.atomic();
    let bytes = 0;
    const count = (key: Deno.KvKey, value?: unknown) => {
      if (bytes >= LARGE_COMMIT_BYTES) return;
      bytes += OPERATION_BYTES + keySize(key) + valueSize(value, LARGE_COMMIT_BYTES);
    };
    const { check, set, delete: remove, sum } = atomic;
    atomic.check = (...checks) => {
      for (const { key } of checks) count(key);
      return check.apply(atomic, checks);
    };
    atomic.set = (key, ...rest) => {
      count(key, rest[0]);
      return set.call(atomic, key, ...rest);
    };
    atomic.delete = (key) => {
      count(key);
      return remove.call(atomic, key);
    };
    atomic.sum = (key, n) => {
      count(key, n);
      return sum.call(atomic, key, n);
    };
    const commit = atomic.commit.bind(atomic);
    atomic.commit = () =>
      bytes < LARGE_COMMIT_BYTES ? this.request(commit) : this.#behindFiller(commit);
    return atomic;
  }

  /** Sends a commit right behind a read, whose answer acknowledges the first part of the commit. */
  async #behindFiller<T>(commit: () => Promise<T>): Promise<T> {
    if (!this.#isDraining) {
      this.#requests++;
      this.#readFiller(false);
      await nextTurn(); // so that the read is sent first
      this.#requests--;
    }
    return await this.request(commit);
  }

  stopFillers(): void {
    this.#isDraining = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#requests === 0) return;
    const isQuiet = performance.now() - this.#sentAt >= QUIET_MS;
    if ((this.#owesAck || isQuiet) && this.#fillerReads < MAX_READS) this.#readFiller(true);
    this.#timer = setTimeout(() => this.#look(), INTERVAL_MS);
  }

  /** `owesAck`: whether nothing else follows that acknowledges the answer. */
  #readFiller(owesAck: boolean): void {
    this.#fillerReads++;
    this.#sent();
    const settled = () => {
      this.#fillerReads--;
      if (owesAck) this.#owesAck = true;
    };
    // A failure shows in the request that the read is for.
    this.kv.get(FILLER_KEY).then(settled, settled);
  }

  #sent(): void {
    this.#owesAck = false;
    this.#sentAt = performance.now();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
