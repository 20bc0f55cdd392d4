import type { Attributes, Span, SpanContext, SpanOptions, Tracer } from "@opentelemetry/api";

/** A span that was started, and what became of it. */
export interface RecordedSpan {
  readonly name: string;
  readonly options: SpanOptions;
  readonly context: SpanContext;
  readonly attributes: Attributes;
  /** The message of its error status. */
  error: string | undefined;
  isEnded: boolean;
}

/** Records spans in the order of their start, without the context that they are started in. */
export class RecordingTracer implements Tracer {
  readonly spans: RecordedSpan[] = [];

  /** @param isSampled whether its spans are sent. */
  constructor(readonly isSampled: boolean = true) {}

  startSpan(name: string, options: SpanOptions = {}): Span {
    const n = this.spans.length + 1;
    const recorded: RecordedSpan = {
      name,
      options,
      context: {
        traceId: n.toString(16).padStart(32, "a"),
        spanId: n.toString(16).padStart(16, "b"),
        traceFlags: this.isSampled ? 1 : 0,
      },
      attributes: { ...options.attributes },
      error: undefined,
      isEnded: false,
    };
    this.spans.push(recorded);
    const span: Span = {
      spanContext: () => recorded.context,
      setAttribute(key, value) {
        recorded.attributes[key] = value;
        return span;
      },
      setAttributes(attributes) {
        Object.assign(recorded.attributes, attributes);
        return span;
      },
      addEvent: () => span,
      addLink: () => span,
      addLinks: () => span,
      setStatus({ message = "" }) {
        recorded.error = message;
        return span;
      },
      updateName: () => span,
      end() {
        if (recorded.isEnded) throw new Error(`the span ${name} has ended before`);
        recorded.isEnded = true;
      },
      isRecording: () => !recorded.isEnded,
      recordException() {},
    };
    return span;
  }

  startActiveSpan(): never {
    throw new Error("not used: it needs a context manager");
  }

  /** The span as a traceparent. */
  traceparent(index: number): string {
    const { traceId, spanId, traceFlags } = this.spans[index]?.context ?? missing(index);
    return `00-${traceId}-${spanId}-0${traceFlags}`;
  }
}

function missing(index: number): never {
  throw new Error(`there is no span ${index}`);
}
