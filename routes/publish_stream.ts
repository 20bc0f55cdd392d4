import type { Caller } from "../lib/auth/caller.ts";
import type { EndReason } from "../lib/auth/connections.ts";
import { errorFields } from "../lib/logger.ts";
import { ephemeralEventOf } from "../lib/publish/ephemeral_draft.ts";
import { parseJsonEvent } from "../lib/publish/json_body.ts";
import { PublishStream } from "../lib/publish/publish_stream.ts";
import type { Server } from "../lib/server.ts";
import { channelOf } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import { requireRight } from "./access.ts";
import { byteReaderOf, openBody } from "./body.ts";
import type { AppContext } from "./context.ts";
import { producerOf } from "./producer.ts";

/** The media type of a stream of events: one JSON object per line. */
const NDJSON = "application/x-ndjson";

/**
 * Milliseconds without a byte after which a stream ends. Guards against producers that are gone
 * without notice.
 */
const IDLE_TIMEOUT_MS = 60_000;
/** Bytes of the buffer of a body that arrives. */
const BUFFER_BYTES = 16_384;

const END_PROBLEMS: Readonly<Record<EndReason, () => Problem>> = {
  expired: () => new Problem("token_expired", "The credential expired while the stream was open."),
  revoked: () => new Problem("token_revoked", "The credential was revoked."),
};

export type StreamParts = Pick<
  Server,
  "access" | "ephemeral" | "goodbyes" | "log" | "logger" | "meter" | "openResponses"
>;

/** Returns whether a body of this `Content-Type` is a stream of events. */
export function isNdjson(contentType: string | null): boolean {
  return contentType?.split(";")[0]?.trim().toLowerCase() === NDJSON;
}

/**
 * `POST /v1/events` with a body of {@link NDJSON}: publishes each line as an event, and answers it
 * with a line while the body is still arriving.
 */
export function publishStream(
  c: AppContext,
  { access, ephemeral, goodbyes, log, logger, meter, openResponses }: StreamParts,
  caller: Caller,
): Response {
  const { authority } = caller;
  const ended = new AbortController();
  const end = (problem: Problem) => ended.abort(problem);
  using opened = new DisposableStack();
  opened.use(access.limiter.connect(caller));
  const arriving = opened.use(openBody(caller));
  const onStop = () => end(new Problem("shutting_down", "This server is stopping."));
  const leaving = { sayGoodbye: onStop, close: onStop };
  goodbyes.add(leaving);
  opened.defer(() => goodbyes.delete(leaving));
  opened.use(
    access.connections.open(crypto.randomUUID(), authority, {
      expiring() {},
      changed() {},
      end: (reason) => end(END_PROBLEMS[reason]()),
    }),
  );
  const producer = producerOf(caller, c.req.raw);
  const resources = opened.move();
  const { completed } = c.env ?? {};
  openResponses.add(completed);
  const { answers } = new PublishStream({
    chunks: chunksOf(c.req.raw.body, ended.signal, resources),
    signal: ended.signal,
    parse: (line) => parseJsonEvent(producer, line),
    admit(draft) {
      access.credentials.requireValid(authority);
      requireRight(access, caller, { action: "publish", channel: channelOf(draft.channelKey) });
      access.limiter.publish(caller, 1, draft.bytes);
    },
    append: (drafts) => log.append(drafts),
    publishEphemeral(draft) {
      const event = ephemeralEventOf(draft, Date.now(), "bad_parameter");
      ephemeral.publish(draft.channelKey, event);
    },
    hold: (bytes) => arriving.add(bytes),
    onRefused(cause) {
      meter.refused();
      meter.problem(cause);
      if (cause instanceof Problem) {
        if (cause.code === "forbidden") access.audit.recordDenial(caller, cause.detail);
      } else logger.error("an event of a stream failed", errorFields(cause));
    },
    onCancel: () => end(new Problem("body_incomplete", "The client has gone.")),
  });
  return new Response(answers, {
    headers: {
      "Cache-Control": "no-store",
      "Content-Type": NDJSON,
      "X-Accel-Buffering": "no",
      "Incremental": "?1",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/**
 * Yields the parts of a body until it ends or `signal` aborts. Disposes of `resources` then.
 *
 * @throws {Problem} the reason of `signal`; `request_timeout`, `body_incomplete`
 */
async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  signal: AbortSignal,
  resources: Disposable,
): AsyncGenerator<Uint8Array> {
  using _ = resources;
  const parts = body === null ? undefined : new PartReader(body);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const idle = Promise.withResolvers<never>();
  idle.promise.catch(() => {});
  const abort = () => idle.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    while (parts !== undefined) {
      signal.throwIfAborted();
      timer = setTimeout(() => {
        const detail = `Nothing arrived for ${IDLE_TIMEOUT_MS / 1_000} s.`;
        idle.reject(new Problem("request_timeout", detail));
      }, IDLE_TIMEOUT_MS);
      const part = await Promise.race([parts.read(), idle.promise]);
      clearTimeout(timer);
      if (part === undefined) return;
      yield part;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    parts?.end();
  }
}

/**
 * Reads a body part by part, all of them into one buffer. With the stream's own buffers of 64 KiB for
 * each part, 300,000 events took the server to 330 MB instead of 271.
 */
class PartReader {
  readonly #reader: ReadableStreamBYOBReader | undefined;
  /** Of a body that the runtime has received completely. */
  readonly #whole: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #buffer = new Uint8Array(BUFFER_BYTES);
  #isReading = false;
  #isEnded = false;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = byteReaderOf(body);
    if (this.#reader === undefined) this.#whole = body.getReader();
  }

  /**
   * Returns the next part, which is valid until the next call; undefined at the end.
   *
   * @throws {Problem} `body_incomplete`
   */
  async read(): Promise<Uint8Array | undefined> {
    this.#isReading = true;
    try {
      if (this.#reader === undefined) return (await this.#whole?.read())?.value;
      const { value, done } = await this.#reader.read(this.#buffer);
      if (value !== undefined) this.#buffer = new Uint8Array(value.buffer);
      return done ? undefined : value;
    } catch (cause) {
      throw new Problem("body_incomplete", "The body ended before it was complete.", { cause });
    } finally {
      this.#isReading = false;
      if (this.#isEnded) this.#cancel();
    }
  }

  /**
   * Reads no more. A read that waits continues until the client sends another byte or leaves: if it
   * were cancelled, the runtime would keep its buffer forever.
   */
  end(): void {
    this.#isEnded = true;
    if (!this.#isReading) this.#cancel();
  }

  #cancel(): void {
    const reader = this.#reader ?? this.#whole;
    reader?.cancel().catch(() => {}); // the read has reported that the body ended early
  }
}
