// A producer or a consumer that the runtime traces: traced_program.ts produce|consume URL CHANNEL
import { trace } from "@opentelemetry/api";
import { connect } from "../../lib/client/client.ts";
import { traced } from "../../lib/client/otel/otel.ts";
import { createProducer } from "../../lib/client/server/producer.ts";
import { publish } from "./publishing.ts";

/** What the producer publishes, and how. */
export const PUBLISHED = ["client", "producer", "fetch"] as const;

/** The span that the consumer makes while it handles an event. */
export const HANDLED = "handled";

if (import.meta.main) {
  const [role, url = "", channel = ""] = Deno.args;
  if (role === "produce") await produce(url, channel);
  else await consume(url, channel);
}

async function produce(url: string, channel: string): Promise<void> {
  await using client = traced(connect(url));
  await client.publish(channel, PUBLISHED[0]);
  await traced(createProducer(url)).publish(channel, PUBLISHED[1]);
  await publish(url, channel, PUBLISHED[2]);
}

async function consume(url: string, channel: string): Promise<void> {
  await using client = traced(connect(url));
  const handled = Promise.withResolvers<void>();
  let events = 0;
  using _listening = client.listen<string>(channel, {
    after: "earliest",
    onGap: "throw",
    onEvent({ data }) {
      const tracer = trace.getTracer("consumer");
      tracer.startSpan(HANDLED, { attributes: { data } }).end();
      if (++events === PUBLISHED.length) handled.resolve();
    },
    onError: handled.reject,
  });
  await handled.promise;
}
