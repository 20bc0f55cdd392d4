/**
 * Traces publishing and handling events with OpenTelemetry. It is the only entry of the package that
 * imports `@opentelemetry/api`, an optional peer dependency.
 */

import {
  context,
  isSpanContextValid,
  type Link,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { EphemeralEvent, Weir, WeirEvent } from "../api.ts";
import { WeirError } from "../core/weir_error.ts";
import { mapItems } from "../../shared/async/map_items.ts";
import type { Producer, Publication } from "../server/producer.ts";
import { spanContextOf } from "../../shared/traceparent.ts";

export interface TracingOptions {
  /** Makes the spans. @default that of the global provider for `weir-client` */
  readonly tracer?: Tracer | undefined;
}

/** The members of a span's name and attributes. */
interface Operation {
  readonly name: "publish" | "process";
  readonly kind: SpanKind;
  readonly channel: string | undefined;
  /** The number of events, if the operation is for several. */
  readonly events?: number | undefined;
  readonly links?: Link[];
}

/**
 * Returns the client, traced: each publish is a span, and its event has the span's `traceparent`,
 * unless the options of the call have one. Each `onEvent` of `listen()` runs in a span, as with
 * {@link processEvent}. Events of `subscribe()` are as without: pass them to `processEvent()`.
 */
export function traced(client: Weir, options?: TracingOptions): Weir;
/**
 * Returns the producer, traced: each call is a span, and its events that have no `traceparent` have
 * that of the span.
 */
export function traced(client: Producer, options?: TracingOptions): Producer;
export function traced(client: Weir | Producer, options: TracingOptions = {}): Weir | Producer {
  return "publishMany" in client ? tracedProducer(client, options) : tracedWeir(client, options);
}

/**
 * Handles an event in a span, which links to the span that published it. The link is to another
 * trace: a channel has any number of readers, who may read the event at any time.
 *
 * @param handle is called once, with the span. Its result is returned, and if that is a promise, the
 * span ends with it.
 */
export function processEvent<Result>(
  event: WeirEvent | EphemeralEvent,
  handle: (span: Span) => Result,
  { tracer = defaultTracer() }: TracingOptions = {},
): Result {
  const publisher = spanContextOf(event.traceparent);
  const span = startSpan(tracer, {
    name: "process",
    kind: SpanKind.CONSUMER,
    channel: event.channel,
    links: publisher === undefined ? [] : [{ context: publisher }],
  });
  if (event.kind === "event") span.setAttribute("messaging.message.id", event.id);
  return runIn(span, () => handle(span));
}

function tracedWeir(client: Weir, options: TracingOptions): Weir {
  const { tracer = defaultTracer() } = options;
  return {
    ...client,
    publish(channel, data, own = {}) {
      const span = startPublish(tracer, channel);
      const { traceparent = traceparentOf(span) } = own;
      return runIn(span, async () => {
        const published = await client.publish(channel, data, { ...own, traceparent });
        span.setAttribute("messaging.message.id", published.id);
        return published;
      });
    },
    listen(channel, { onEvent, ...rest }) {
      return client.listen(channel, {
        ...rest,
        onEvent: (event, cursor) => processEvent(event, () => onEvent(event, cursor), { tracer }),
      });
    },
  };
}

function tracedProducer(producer: Producer, options: TracingOptions): Producer {
  const { tracer = defaultTracer() } = options;
  return {
    publish(channel, data, own = {}) {
      const span = startPublish(tracer, channel);
      const { traceparent = traceparentOf(span) } = own;
      return runIn(span, async () => {
        const published = await producer.publish(channel, data, { ...own, traceparent });
        span.setAttribute("messaging.message.id", published.id);
        return published;
      });
    },
    publishMany(events, own) {
      const span = startPublish(tracer, channelOf(events), events.length);
      const withSpan = events.map(withTraceparent(traceparentOf(span)));
      return runIn(span, () => producer.publishMany(withSpan, own));
    },
    async *publishAll(events, own) {
      const span = startPublish(tracer, undefined);
      const inSpan = trace.setSpan(context.active(), span);
      const changed = mapItems(events, withTraceparent(traceparentOf(span)));
      const outcomes = producer.publishAll(changed, own);
      try {
        for (;;) {
          const { done, value } = await context.with(inSpan, () => outcomes.next());
          if (done) return;
          yield value;
        }
      } catch (cause) {
        fail(span, cause);
        throw cause;
      } finally {
        await outcomes.return?.(); // if the caller leaves the iteration
        span.end();
      }
    },
  };
}

function defaultTracer(): Tracer {
  return trace.getTracer("weir-client");
}

function startPublish(tracer: Tracer, channel: string | undefined, events?: number): Span {
  return startSpan(tracer, { name: "publish", kind: SpanKind.PRODUCER, channel, events });
}

/** Starts a span as OpenTelemetry's conventions for messaging have it. */
function startSpan(tracer: Tracer, { name, kind, channel, events, links = [] }: Operation): Span {
  return tracer.startSpan(name, {
    kind,
    links,
    attributes: {
      "messaging.system": "weir",
      "messaging.operation.name": name,
      "messaging.operation.type": name === "publish" ? "send" : "process",
      ...channel !== undefined && { "messaging.destination.name": channel },
      ...events !== undefined && { "messaging.batch.message_count": events },
    },
  });
}

/** Calls `work` in the context of the span, which ends with it. */
function runIn<Result>(span: Span, work: () => Result): Result {
  const failed = (cause: unknown): never => {
    fail(span, cause);
    span.end();
    throw cause;
  };
  try {
    const result = context.with(trace.setSpan(context.active(), span), work);
    if (result instanceof Promise) {
      return result.then((value) => (span.end(), value), failed) as Result;
    }
    span.end();
    return result;
  } catch (cause) {
    return failed(cause);
  }
}

function fail(span: Span, cause: unknown): void {
  const isError = cause instanceof Error;
  const type = cause instanceof WeirError ? cause.code : isError ? cause.name : "unknown";
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR, message: isError ? cause.message : String(cause) });
}

/** Returns the span as a `traceparent`; undefined if nothing traces. */
function traceparentOf(span: Span): string | undefined {
  const spanContext = span.spanContext();
  if (!isSpanContextValid(spanContext)) return undefined;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Returns the channel of all events, if they have the same one. */
function channelOf(events: readonly Publication[]): string | undefined {
  const [first] = events;
  return events.every(({ channel }) => channel === first?.channel) ? first?.channel : undefined;
}

function withTraceparent(traceparent: string | undefined): (event: Publication) => Publication {
  return (event) => ({ ...event, traceparent: event.traceparent ?? traceparent });
}
