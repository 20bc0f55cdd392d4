import type { Metric } from "./metric.ts";

/** How long a scrape waits for the other isolates of the process. */
const ANSWER_TIMEOUT_MS = 1_000;

type Message =
  | { readonly ask: string }
  | { readonly answer: string; readonly isolate: string; readonly metrics: readonly Metric[] };

interface IsolateMetricsOptions {
  /** Returns the current metrics of this isolate. */
  readonly read: () => readonly Metric[];
  /** @default 1_000 */
  readonly timeoutMs?: number;
}

/**
 * Collects the metrics of all isolates of a process (`deno serve --parallel`), whichever of them is
 * asked. They reach each other by `BroadcastChannel`.
 */
export class IsolateMetrics implements Disposable {
  readonly #options: IsolateMetricsOptions;
  readonly #isolate = crypto.randomUUID();
  /** The last metrics of each other isolate. Answers to the others are heard too. */
  readonly #latest = new Map<string, readonly Metric[]>();
  /** Called with the isolate that answers, by the name of the question. */
  readonly #waiting = new Map<string, (isolate: string) => void>();
  #channel: BroadcastChannel | undefined;
  #others: () => number = () => 0;

  constructor(options: IsolateMetricsOptions) {
    this.#options = options;
  }

  /**
   * Starts to share metrics with the other isolates that share by the same name.
   *
   * @param others returns how many others there are
   */
  share(name: string, others: () => number): void {
    this.#others = others;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#receive(data);
  }

  /**
   * Returns the metrics of this isolate and of all others. For one that does not answer in time they
   * are those of an earlier scrape: without them, counters would seem to fall back.
   */
  async collect(): Promise<readonly (readonly Metric[])[]> {
    const others = this.#others();
    if (others > 0) await this.#ask(others);
    return [this.#options.read(), ...this.#latest.values()];
  }

  [Symbol.dispose](): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #ask(others: number): Promise<void> {
    const ask = crypto.randomUUID();
    const answered = new Set<string>();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(ask, (isolate) => {
      answered.add(isolate);
      if (answered.size >= others) resolve();
    });
    const timer = setTimeout(resolve, this.#options.timeoutMs ?? ANSWER_TIMEOUT_MS);
    this.#channel?.postMessage({ ask } satisfies Message);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(ask);
  }

  #receive(message: Message): void {
    if ("ask" in message) {
      const metrics = this.#options.read();
      const answer: Message = { answer: message.ask, isolate: this.#isolate, metrics };
      this.#channel?.postMessage(answer);
      return;
    }
    this.#latest.set(message.isolate, message.metrics);
    this.#waiting.get(message.answer)?.(message.isolate);
  }
}
