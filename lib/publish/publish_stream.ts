import type { AppendedEvent, Draft } from "../log/log.ts";
import { pause } from "../shared/async/delay.ts";
import { channelOf } from "../shared/channel.ts";
import { LineSplitter, LineTooLarge } from "../shared/line_splitter.ts";
import { Problem } from "../shared/problem.ts";
import { statusOf } from "../shared/problem_codes.ts";
import { retryAfterMs } from "../shared/retry_after.ts";
import { acknowledgement } from "./acknowledgement.ts";
import { MAX_EVENTS_PER_PUBLISH, MAX_PUBLICATION_BYTES } from "./draft.ts";
import type { PublishedEvent } from "./json_body.ts";

/**
 * Events of one stream without an answer, and their bytes, at which it is not read further. Guards
 * against a producer that sends faster than the store takes, or does not read its answers.
 */
const MAX_WAITING_EVENTS = 8_000;
const MAX_WAITING_BYTES = 4 * 2 ** 20;
/** Bytes of events that are stored together. */
const MAX_GROUP_BYTES = 2 ** 20;

const utf8 = new TextEncoder();
const BLANK = /^\s*$/;

interface PublishStreamOptions {
  /** The parts of the body. What it throws ends the stream. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Parses a line. @throws {Problem} */
  readonly parse: (line: Uint8Array) => PublishedEvent | Promise<PublishedEvent>;
  /** Checks rights and limits. @throws {Problem} */
  readonly admit: (draft: Draft) => void;
  /** Stores all drafts, or none. @throws {Problem} */
  readonly append: (drafts: readonly Draft[]) => Promise<readonly AppendedEvent[]>;
  /** Delivers an ephemeral event. @throws {Problem} */
  readonly publishEphemeral: (draft: Draft) => void;
  /** Counts the bytes of a line that has not ended; fewer if negative. What it throws ends the stream. */
  readonly hold: (bytes: number) => void;
  /** Called for each event that is refused. */
  readonly onRefused: (cause: unknown) => void;
  /** Called when the client does not want more answers. Must end `chunks`. */
  readonly onCancel: () => void;
  /** Ends waits for a limit. */
  readonly signal: AbortSignal;
}

/** The answers to events that are stored together, or to one event. */
interface Answer {
  readonly events: number;
  readonly bytes: number;
  /** Lines, once they are known. */
  text: string | undefined;
}

/**
 * Publishes a stream of events, one JSON object per line, and answers each with a line: an
 * acknowledgement once it is durable, or a problem. Events that are refused do not end the stream.
 *
 * The events of one channel are stored in the order of their lines. Where a rate limit is reached,
 * the stream waits. Its memory is bounded.
 */
export class PublishStream {
  /** The answers, in the order of the events. */
  readonly answers: ReadableStream<Uint8Array>;
  readonly #options: PublishStreamOptions;
  readonly #splitter = new LineSplitter();
  readonly #answers: Answer[] = [];
  #waitingEvents = 0;
  #waitingBytes = 0;
  /**
   * Events that are stored together next: of one channel and without ids, so that what refuses one of
   * them refuses all.
   */
  #group: Draft[] = [];
  #groupBytes = 0;
  /** Index of the first event of the group. */
  #groupStart = 0;
  #events = 0;
  #isDone = false;
  #wakeReader = () => {};
  #wakeWriter = () => {};

  constructor(options: PublishStreamOptions) {
    this.#options = options;
    this.answers = new ReadableStream({
      pull: (controller) => this.#write(controller),
      cancel: () => {
        this.#isDone = true;
        this.#wakeReader();
        options.onCancel();
      },
    });
    void this.#read();
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#options.chunks) {
        const heldBytes = this.#splitter.waitingBytes;
        for (const line of this.#splitter.push(chunk, MAX_PUBLICATION_BYTES)) {
          const taken = this.#take(line);
          if (taken !== undefined) await taken;
          if (this.#isFull) await this.#room();
          if (this.#isDone) return;
        }
        this.#storeGroup();
        this.#options.hold(this.#splitter.waitingBytes - heldBytes);
      }
      await this.#take(this.#splitter.end());
      this.#storeGroup();
    } catch (cause) {
      this.#storeGroup();
      this.#answer(
        cause instanceof LineTooLarge
          ? problemLine(lineTooLarge(cause), this.#events)
          : problemLine(cause, undefined),
      );
    }
    this.#isDone = true;
    this.#wakeWriter();
  }

  /** Takes one line. Returns a promise only if that takes time. */
  #take(line: Uint8Array): Promise<void> | undefined {
    if (line.length < 8 && BLANK.test(new TextDecoder().decode(line))) return undefined;
    try {
      const event = this.#options.parse(line);
      if (!(event instanceof Promise)) return this.#publish(event);
      return event.then((event) => this.#publish(event), (cause) => this.#refuse(cause));
    } catch (cause) {
      this.#refuse(cause);
      return undefined;
    }
  }

  #publish(event: PublishedEvent): Promise<void> | undefined {
    try {
      this.#options.admit(event.draft);
    } catch (cause) {
      const waitMs = cause instanceof Problem && cause.code === "rate_limited"
        ? retryAfterMs(cause)
        : undefined;
      if (waitMs !== undefined) return this.#publishAfter(waitMs, event);
      this.#refuse(cause);
      return undefined;
    }
    const { draft, isEphemeral } = event;
    if (isEphemeral) this.#deliver(draft);
    else this.#add(draft);
    return undefined;
  }

  async #publishAfter(waitMs: number, event: PublishedEvent): Promise<void> {
    this.#storeGroup();
    await pause(waitMs, this.#options);
    this.#options.signal.throwIfAborted();
    await this.#publish(event);
  }

  #deliver(draft: Draft): void {
    try {
      this.#options.publishEphemeral(draft);
    } catch (cause) {
      return this.#refuse(cause);
    }
    this.#storeGroup();
    const channel = JSON.stringify(channelOf(draft.channelKey));
    this.#answer(`{"index":${this.#events++},"channel":${channel},"ephemeral":true}\n`);
  }

  #refuse(cause: unknown): void {
    this.#options.onRefused(cause);
    this.#storeGroup();
    this.#answer(problemLine(cause, this.#events++));
  }

  #add(draft: Draft): void {
    const { channelKey, id, bytes } = draft;
    if (id !== undefined || channelKey !== this.#group[0]?.channelKey) this.#storeGroup();
    if (this.#group.length === 0) this.#groupStart = this.#events;
    this.#events++;
    this.#group.push(draft);
    this.#groupBytes += bytes;
    const isFull = this.#group.length === MAX_EVENTS_PER_PUBLISH ||
      this.#groupBytes >= MAX_GROUP_BYTES;
    if (id !== undefined || isFull) this.#storeGroup();
  }

  #storeGroup(): void {
    const drafts = this.#group;
    if (drafts.length === 0) return;
    const start = this.#groupStart;
    const answer: Answer = { events: drafts.length, bytes: this.#groupBytes, text: undefined };
    this.#group = [];
    this.#groupBytes = 0;
    this.#push(answer);
    this.#options.append(drafts).then(
      (appended) =>
        appended.map((event, i) => {
          const draft = drafts[i] as Draft; // the log answers each of them
          return `{"index":${start + i},${acknowledgement(draft, event).slice(1)}\n`;
        }),
      (cause) =>
        drafts.map((_, i) => {
          this.#options.onRefused(cause);
          return problemLine(cause, start + i);
        }),
    ).then((lines) => {
      answer.text = lines.join("");
      this.#wakeWriter();
    });
  }

  #answer(text: string): void {
    this.#push({ events: 1, bytes: text.length, text });
    this.#wakeWriter();
  }

  #push(answer: Answer): void {
    this.#answers.push(answer);
    this.#waitingEvents += answer.events;
    this.#waitingBytes += answer.bytes;
  }

  get #isFull(): boolean {
    return this.#waitingEvents >= MAX_WAITING_EVENTS || this.#waitingBytes >= MAX_WAITING_BYTES;
  }

  async #room(): Promise<void> {
    while (this.#isFull && !this.#isDone) {
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }

  /** Writes the answers that are known, at least one. */
  async #write(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (true) {
      const texts: string[] = [];
      for (const { text, events, bytes } of this.#answers) {
        if (text === undefined) break;
        texts.push(text);
        this.#waitingEvents -= events;
        this.#waitingBytes -= bytes;
      }
      this.#answers.splice(0, texts.length);
      if (texts.length > 0) {
        this.#wakeReader();
        return controller.enqueue(utf8.encode(texts.join("")));
      }
      if (this.#isDone && this.#answers.length === 0) return controller.close();
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    }
  }
}

function lineTooLarge({ maxBytes }: LineTooLarge): Problem {
  return new Problem("event_too_large", `A line may have at most ${maxBytes} bytes.`);
}

/** @param index of the event that the problem is about, if it is about one */
function problemLine(cause: unknown, index: number | undefined): string {
  const problem = cause instanceof Problem
    ? cause
    : new Problem("internal", "An unexpected error occurred. It has been logged.");
  const { code, detail } = problem;
  const line = {
    index,
    status: statusOf(code),
    code,
    detail,
    retryAfter: retryAfterMs(problem),
  };
  return `${JSON.stringify(line)}\n`;
}
