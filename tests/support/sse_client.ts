import { createParser } from "eventsource-parser";
import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import { systemEvents } from "../../routes/api_description/messages.ts";
import { Queue } from "./queue.ts";

export interface SseEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

/**
 * A stream of server-sent events, with a parser that is not Weir's own. When it is disposed of, it
 * throws if the server has sent a system event that the description of messages lacks.
 */
export class SseClient implements AsyncDisposable {
  readonly response: Response;
  readonly events = new Queue<SseEvent>();
  readonly comments = new Queue<string>();
  /** The id of `weir.open`, the event at the start of the stream, which is not in `events`. */
  firstId = "";
  retry: number | undefined;
  readonly #abort: AbortController;
  readonly #opened = Promise.withResolvers<void>();
  readonly #reading: Promise<void>;
  readonly #undescribed: string[] = [];

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  /**
   * Resolves after `weir.open`: the client is subscribed.
   *
   * @param fetcher sends the request. @default fetch
   */
  static async open(
    url: string,
    headers: Record<string, string> = {},
    fetcher: Pick<Platform, "fetch"> = PLATFORM,
  ): Promise<SseClient> {
    const abort = new AbortController();
    const response = await fetcher.fetch(new URL(url), {
      headers: { Accept: "text/event-stream", ...headers },
      signal: abort.signal,
    });
    if (response.status !== 200) {
      throw new Error(`${response.status} ${await response.text()}`);
    }
    const client = new SseClient(response, abort);
    await client.#opened.promise;
    return client;
  }

  next(): Promise<SseEvent> {
    return this.events.take();
  }

  /** Resolves when the server has ended the stream. */
  async ended(): Promise<void> {
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
    if (this.#undescribed.length > 0) throw new Error(this.#undescribed.join("\n"));
  }

  #check(event: string, data: string): void {
    const { error } = systemEvents[event as keyof typeof systemEvents].safeParse(JSON.parse(data));
    if (error !== undefined) this.#undescribed.push(`${error.message} in ${event}`);
  }

  async #read(): Promise<void> {
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (event?.startsWith("weir.")) this.#check(event, data);
        if (event === "weir.open") this.firstId = id ?? "";
        else this.events.put({ id, event, data });
      },
      onComment: (comment) => this.comments.put(comment),
      onRetry: (retry) => this.retry = retry,
      maxBufferSize: Infinity,
    });
    try {
      for await (const chunk of this.response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        parser.feed(chunk);
        if (this.firstId !== "") this.#opened.resolve();
      }
      this.events.end(new Error("the stream has ended"));
    } catch (cause) {
      this.events.end(cause);
    }
    this.#opened.resolve();
    this.comments.end(new Error("the stream has ended"));
  }
}
