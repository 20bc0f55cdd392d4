/**
 * A program that listens. It prints its port, and a line each time that it cannot accept a
 * connection. `GET /stream` is a stream with a line for each other request.
 */
import { listen } from "../../lib/listener.ts";

// As in main.ts: Deno cannot start to handle signals without free file descriptors.
Deno.addSignalListener("SIGTERM", () => Deno.exit());

const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();

await listen({
  hostname: "127.0.0.1",
  port: 0,
  handler: ({ url }) => new Response(url.endsWith("/stream") ? stream() : line()),
  onListen: ({ port }) => say(String(port)),
  onAcceptFailed: () => say("failed"),
});

function stream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => void streams.add(controller) });
}

function line(): string {
  for (const stream of streams) stream.enqueue(new TextEncoder().encode("line\n"));
  return "ok";
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
