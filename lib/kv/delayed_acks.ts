import { setImmediate } from "node:timers";
import { pause } from "../shared/async/delay.ts";

/** Between two companion reads, and two looks whether the store is quiet, in ms. */
const INTERVAL = 1;
/** Companion reads under way at once. Met: a store that is away, and a pile of reads before it. */
const MAX_READS = 16;
/** How long {@link PromptKv.drain} waits, in ms: a store that is away does not answer. */
const QUIET_LIMIT = 1_000;
const NOTHING: Deno.KvKey = ["-"];

export interface PromptKv {
  /** The same store, on which no request is ever alone for long. */
  readonly kv: Deno.Kv;
  /**
   * From here on requests go without company. Resolves when none is under way, so that the store
   * can be closed; after `limit` ms (1,000 unless told) also where one is: false. Closed then, the
   * runtime's client takes a whole core for good, and other work of the isolate starves.
   */
  drain(limit?: number): Promise<boolean>;
}

/**
 * Keeps the requests of a KV Connect client company. A request or an answer above about 1 kB that
 * is alone on the connection waits 44 ms for an acknowledgement (Nagle's algorithm against delayed
 * ACK) unless something follows it. So while any request is under way a tiny read follows every
 * millisecond: measured, it takes the median from one process to another from 46 ms to 7 and
 * publishing from 0.9 k/s to 9 k/s (docs/performance.md, with what else was tried).
 */
export function avoidDelayedAcks(kv: Deno.Kv): PromptKv {
  /** Companion reads under way. */
  let reads = 0;
  let underWay = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isQuiet = false;

  function read(): void {
    if (reads >= MAX_READS) return;
    reads++;
    // Its answer is of no use, and a failure is seen by the request that it accompanies.
    const answered = () => void reads--;
    kv.get(NOTHING).then(answered, answered);
  }

  function follow(): void {
    timer = undefined;
    if (underWay === 0) return;
    read();
    timer = setTimeout(follow, INTERVAL);
  }

  async function accompany<T>(request: () => Promise<T>): Promise<T> {
    underWay++;
    if (!isQuiet) timer ??= setTimeout(follow, 0); // in the same tick it would make matters worse
    try {
      return await request();
    } finally {
      underWay--;
    }
  }

  /** A write goes out right behind a read: the read's answer acknowledges the first part of it. */
  async function commitBehindRead<T>(commit: () => Promise<T>): Promise<T> {
    if (!isQuiet) {
      underWay++;
      read();
      await nextTurn(); // so that its request is on its way
      underWay--;
    }
    return await accompany(commit);
  }

  const accompaniedKv = new Proxy(kv, {
    get(target, name) {
      switch (name) {
        case "get":
        case "getMany":
        case "set":
        case "delete": {
          const method = target[name].bind(target) as (...args: unknown[]) => Promise<unknown>;
          return (...args: unknown[]) => accompany(() => method(...args));
        }
        case "list":
          return (...args: Parameters<Deno.Kv["list"]>) => {
            const entries = target.list(...args);
            const next = entries.next.bind(entries);
            entries.next = () => accompany(next);
            return entries;
          };
        case "atomic":
          return () => {
            const atomic = target.atomic();
            const commit = atomic.commit.bind(atomic);
            atomic.commit = () => commitBehindRead(commit);
            return atomic;
          };
        default: {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        }
      }
    },
  });

  return {
    kv: accompaniedKv,
    async drain(limit = QUIET_LIMIT) {
      isQuiet = true;
      clearTimeout(timer);
      timer = undefined;
      const end = performance.now() + limit;
      const isBusy = () => underWay > 0 || reads > 0;
      // Looked at between turns of the loop: whoever is answered may ask again at once.
      while (isBusy() && performance.now() < end) {
        await pause(INTERVAL);
      }
      return !isBusy();
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
