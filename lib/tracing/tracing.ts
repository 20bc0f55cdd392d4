import type {
  Attributes,
  Context,
  Link,
  Span,
  SpanContext,
  Tracer,
  TracerProvider,
} from "@opentelemetry/api";
import type { ReplayTracer } from "../hub/replay_tracer.ts";
import type { Subscription } from "../hub/subscription.ts";
import type { AppendTracer, CommitAttempt } from "../log/append_tracer.ts";
import type { AppendedEvent, Draft } from "../log/log.ts";
import type { PendingAppend } from "../log/pending_append.ts";
import { type ChannelKey, channelOf, tenantOf } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { statusOf } from "../shared/problem_codes.ts";
import { withoutSecrets } from "../shared/secrets.ts";
import { spanContextOf } from "../shared/traceparent.ts";
import { VERSION } from "../version.ts";
import type { MessageTracer } from "../transports/messages/message_tracer.ts";
import type { ClientMessage } from "../transports/messages/message.ts";

type Api = typeof import("@opentelemetry/api");

/** Links of one span. Guards against a publish of a hundred events of as many traces. */
const MAX_LINKS = 32;
/** The flag of a trace that is sent. */
const SAMPLED = 1;
/** Messages that come all the time and do nothing. */
const UNTRACED_OPS: readonly string[] = ["ping", "received"];

interface AppendTrace {
  readonly span: Span;
  readonly context: Context;
  hasWaited: boolean;
}

interface ReplayTrace {
  readonly channelKey: ChannelKey;
  /** Of the request; undefined after the first replay, since later ones have other reasons. */
  context: Context | undefined;
  span: Span | undefined;
  /** The sequence after which the replay began. */
  from: number;
}

/**
 * Makes the spans of a server, through OpenTelemetry's API. The runtime makes those of HTTP requests
 * and exports all of them.
 */
export class Tracing implements AppendTracer, ReplayTracer, MessageTracer {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #appends = new WeakMap<PendingAppend, AppendTrace>();
  readonly #replays = new WeakMap<Subscription, ReplayTrace>();

  /** @param provider makes the spans. @default the provider of the runtime */
  constructor(api: Api, provider: TracerProvider = api.trace) {
    this.#api = api;
    this.#tracer = provider.getTracer("weir", VERSION);
  }

  /** Names the span of an HTTP request by its route, and masks credentials in its URL. */
  request(method: string, route: string | undefined, url: string): void {
    const span = this.#api.trace.getActiveSpan();
    if (span === undefined) return;
    if (route !== undefined) {
      span.updateName(`${method} ${route}`);
      span.setAttribute("http.route", route);
    }
    const masked = withoutSecrets(url);
    if (masked === url) return;
    const [path = "", query] = masked.split("?");
    span.setAttributes({
      "url.full": masked,
      "url.path": path.replace(/^[a-z]+:\/\/[^/]*/, ""),
      ...query !== undefined && { "url.query": query },
    });
  }

  /** Reads a page in a span. `waitMs` is 0 for a short poll. */
  poll<T extends { readonly isEmpty: boolean }>(
    waitMs: number,
    read: () => Promise<T>,
  ): Promise<T> {
    const { context, trace } = this.#api;
    const span = this.#tracer.startSpan("weir.poll", { attributes: { "weir.poll.wait": waitMs } });
    return context.with(trace.setSpan(context.active(), span), async () => {
      try {
        const page = await read();
        span.setAttribute("weir.poll.empty", page.isEmpty);
        return page;
      } catch (cause) {
        this.#fail(span, cause);
        throw cause;
      } finally {
        span.end();
      }
    });
  }

  message(
    message: ClientMessage,
    handle: () => Promise<void> | undefined,
  ): Promise<void> | undefined {
    const { op } = message;
    if (UNTRACED_OPS.includes(op)) return handle();
    const { context, trace, ROOT_CONTEXT, SpanKind } = this.#api;
    const publisher = op === "publish" ? spanContextOf(message.traceparent) : undefined;
    const parent = publisher === undefined
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, publisher);
    const span = this.#tracer.startSpan(`weir.message ${op}`, { kind: SpanKind.SERVER }, parent);
    const failed = (cause: unknown) => {
      this.#fail(span, cause);
      span.end();
      throw cause;
    };
    try {
      const handled = context.with(trace.setSpan(parent, span), handle);
      if (handled !== undefined) return handled.then(() => span.end(), failed);
    } catch (cause) {
      return failed(cause);
    }
    span.end();
    return undefined;
  }

  queued(pending: PendingAppend, answer: Promise<readonly AppendedEvent[]>): void {
    const { context, trace } = this.#api;
    const { drafts, channelKeys: [channelKey], since } = pending;
    if (channelKey === undefined) return;
    const active = context.active();
    const caller = trace.getSpanContext(active);
    // What the server publishes by itself belongs to no request.
    if (caller === undefined && channelOf(channelKey).startsWith("$")) return;
    if (caller !== undefined && !isSampled(caller)) return;
    const span = this.#tracer.startSpan("weir.publish", {
      startTime: timeOf(since),
      links: linksOf(drafts, caller),
      attributes: {
        ...channelAttributes(channelKey),
        "messaging.batch.message_count": drafts.length,
        "weir.bytes": drafts.reduce((sum, { bytes }) => sum + bytes, 0),
      },
    }, active);
    if (!isSampled(span.spanContext())) return span.end();
    this.#appends.set(pending, { span, context: trace.setSpan(active, span), hasWaited: false });
    answer.then(
      ([first]) => {
        if (first !== undefined) span.setAttribute("weir.offset", first.offset);
        span.end();
      },
      (cause) => {
        this.#fail(span, cause);
        span.end();
      },
    );
  }

  attempted({ group, start, end, outcome, conflicts }: CommitAttempt): void {
    const attributes: Attributes = {
      "weir.commit.outcome": outcome,
      "weir.commit.conflicts": conflicts,
      "weir.commit.publishes": group.length,
      "weir.commit.events": group.reduce((sum, { drafts }) => sum + drafts.length, 0),
    };
    for (const pending of group) {
      const append = this.#appends.get(pending);
      if (append === undefined) continue;
      if (!append.hasWaited) {
        append.hasWaited = true;
        const startTime = timeOf(pending.since);
        this.#tracer.startSpan("weir.publish.wait", { startTime }, append.context)
          .end(timeOf(start));
      }
      const startTime = timeOf(start);
      this.#tracer.startSpan("weir.commit", { startTime, attributes }, append.context)
        .end(timeOf(end));
    }
  }

  subscribed(subscription: Subscription, channelKey: ChannelKey): void {
    const context = this.#api.context.active();
    this.#replays.set(subscription, { channelKey, context, span: undefined, from: 0 });
  }

  catchingUp(subscription: Subscription): void {
    const replay = this.#replays.get(subscription);
    if (replay === undefined) return;
    const isFirst = replay.context !== undefined;
    replay.from = subscription.position.sequence;
    replay.span = this.#tracer.startSpan("weir.replay", {
      attributes: {
        ...channelAttributes(replay.channelKey),
        "weir.replay.reason": isFirst ? "start" : "slow",
        "weir.replay.lag": subscription.lag,
      },
    }, replay.context ?? this.#api.ROOT_CONTEXT);
    replay.context = undefined;
  }

  caughtUp(subscription: Subscription, isLive: boolean): void {
    const replay = this.#replays.get(subscription);
    const events = subscription.position.sequence - (replay?.from ?? 0);
    replay?.span?.setAttributes({ "weir.replay.live": isLive, "weir.replay.events": events });
    replay?.span?.end();
  }

  /** Records why what the span is for has failed. A refusal is not an error of the server. */
  #fail(span: Span, cause: unknown): void {
    const code = cause instanceof Problem ? cause.code : undefined;
    span.setAttribute("error.type", code ?? (cause instanceof Error ? cause.name : "unknown"));
    if (code !== undefined && statusOf(code) < 500) return;
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
  }
}

/** Loads OpenTelemetry's API, which the runtime connects with its exporter. */
export async function openTracing(): Promise<Tracing> {
  return new Tracing(await import("@opentelemetry/api"));
}

function channelAttributes(channelKey: ChannelKey): Attributes {
  return {
    "messaging.system": "weir",
    "messaging.destination.name": channelOf(channelKey),
    "weir.tenant": tenantOf(channelKey),
  };
}

/** Returns links to the spans of the producers, except to those in the trace of the caller. */
function linksOf(drafts: readonly Draft[], caller: SpanContext | undefined): Link[] {
  const linked = new Map<string, Link>();
  for (const { traceparent } of drafts) {
    const context = spanContextOf(traceparent);
    if (context === undefined || context.traceId === caller?.traceId) continue;
    if (linked.size < MAX_LINKS) linked.set(context.spanId, { context });
  }
  return [...linked.values()];
}

/** Returns whether the span is sent. Spans below one that is not are not made. */
function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & SAMPLED) !== 0;
}

/** Returns the time of `performance.now()` in ms since 1970. */
function timeOf(now: number): number {
  return performance.timeOrigin + now;
}
