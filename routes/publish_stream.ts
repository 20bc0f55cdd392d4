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
import { openBody } from "./body.ts";
import type { AppContext } from "./context.ts";

/** The media type of a stream of events: one JSON object per line. */
const NDJSON = "application/x-ndjson";

/**
 * Milliseconds without a byte after which a stream ends. Guards against producers that are gone
 * without notice.
 */
const IDLE_TIMEOUT_MS = 60_000;

const END_PROBLEMS: Readonly<Record<EndReason, () => Problem>> = {
  expired: () => new Problem("token_expired", "The credential expired while the stream was open."),
  revoked: () => new Problem("token_revoked", "The credential was revoked."),
};

export type StreamParts = Pick<
  Server,
  "access" | "ephemeral" | "log" | "logger" | "meter" | "openResponses" | "stopping"
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
  { access, ephemeral, log, logger, meter, openResponses, stopping }: StreamParts,
  caller: Caller,
): Response {
  const { authority } = caller;
  if (stopping.aborted) throw new Problem("shutting_down", "This server is stopping.");
  const ended = new AbortController();
  const end = (problem: Problem) => ended.abort(problem);
  using opened = new DisposableStack();
  opened.use(access.limiter.connect(caller));
  const arriving = opened.use(openBody(caller));
  const onStop = () => end(new Problem("shutting_down", "This server is stopping."));
  stopping.addEventListener("abort", onStop);
  opened.defer(() => stopping.removeEventListener("abort", onStop));
  opened.use(
    access.connections.open(crypto.randomUUID(), authority, {
      expiring() {},
      changed() {},
      end: (reason) => end(END_PROBLEMS[reason]()),
    }),
  );
  const resources = opened.move();
  const { completed } = c.env ?? {};
  openResponses.add(completed);
  const { answers } = new PublishStream({
    chunks: chunksOf(c.req.raw.body, ended.signal, resources),
    signal: ended.signal,
    parse: (line) => parseJsonEvent(authority, line),
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
  const reader = body?.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const idle = Promise.withResolvers<never>();
  idle.promise.catch(() => {});
  const abort = () => idle.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    while (reader !== undefined) {
      signal.throwIfAborted();
      timer = setTimeout(() => {
        const detail = `Nothing arrived for ${IDLE_TIMEOUT_MS / 1_000} s.`;
        idle.reject(new Problem("request_timeout", detail));
      }, IDLE_TIMEOUT_MS);
      const { value, done } = await Promise.race([read(reader), idle.promise]);
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    // A read may still wait: it ends when the client sends something or leaves.
    reader?.cancel().catch(() => {});
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read();
  } catch (cause) {
    throw new Problem("body_incomplete", "The body ended before it was complete.", { cause });
  }
}
