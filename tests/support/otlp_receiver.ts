/** A span as a receiver of OTLP gets it. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Receives traces by OTLP over HTTP, as JSON, on a free port of the loopback address. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(options, async (request) => {
      const body = await request.json();
      if (new URL(request.url).pathname === "/v1/traces") this.spans.push(...spansOf(body));
      return Response.json({});
    });
  }

  /** The environment in which the runtime of a process sends its spans here, soon. */
  env(service: string): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "20",
    };
  }

  named(name: string): readonly ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

// deno-lint-ignore no-explicit-any -- the JSON of OTLP
function spansOf(body: any): readonly ReceivedSpan[] {
  const spans: ReceivedSpan[] = [];
  for (const { resource, scopeSpans } of body.resourceSpans) {
    const service = String(valuesOf(resource.attributes)["service.name"]);
    for (const scope of scopeSpans) {
      for (const span of scope.spans) {
        spans.push({
          ...span,
          service,
          startMs: Number(span.startTimeUnixNano) / 1e6,
          endMs: Number(span.endTimeUnixNano) / 1e6,
          attributes: valuesOf(span.attributes),
          isError: span.status?.code === 2,
        });
      }
    }
  }
  return spans;
}

/** Returns the values by their keys: strings, booleans, and numbers. */
function valuesOf(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => {
    const [[type = "", content] = []] = Object.entries(value);
    return [key, type === "intValue" ? Number(content) : content];
  }));
}
