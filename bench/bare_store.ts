/**
 * What the bare server stores on Deno KV if it is durable: like Weir a head and a batch of events for
 * each channel of a commit, and a check of the head. There are no ids, no retention and no
 * second isolate.
 */
interface Append {
  readonly channel: string;
  readonly data: string;
  readonly done: () => void;
}

interface Head {
  last: number;
  versionstamp: string | null;
}

/** Events in one commit; more wait for the next. */
const MAX_EVENTS = 100;

/** Appends events. Those that come during a commit go together into the next one. */
export class BareStore {
  readonly #kv: Deno.Kv;
  readonly #heads = new Map<string, Head>();
  #queue: Append[] = [];
  #isCommitting = false;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** Resolves once the event is on the disk. */
  append(channel: string, data: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ channel, data, done: resolve });
    if (!this.#isCommitting) void this.#commitAll();
    return promise;
  }

  async #commitAll(): Promise<void> {
    this.#isCommitting = true;
    while (this.#queue.length > 0) await this.#commit(this.#queue.splice(0, MAX_EVENTS));
    this.#isCommitting = false;
  }

  async #commit(group: readonly Append[]): Promise<void> {
    const atomic = this.#kv.atomic();
    const changed: Head[] = [];
    for (const [channel, appends] of Map.groupBy(group, ({ channel }) => channel)) {
      const head = this.#heads.get(channel) ?? { last: 0, versionstamp: null };
      this.#heads.set(channel, head);
      head.last += appends.length;
      changed.push(head);
      const { last, versionstamp } = head;
      const data = appends.map(({ data }) => data);
      atomic.check({ key: ["head", channel], versionstamp })
        .set(["head", channel], { last, time: Date.now() })
        .set(["log", channel, last], { time: Date.now(), data });
    }
    const result = await atomic.commit();
    if (!result.ok) throw new Error("Another process has written to the store");
    for (const head of changed) head.versionstamp = result.versionstamp;
    for (const { done } of group) done();
  }
}
