/**
 * A process that listens and says on stdout what happens to it: its port, then each time that it
 * could accept no more. `GET /stream` is a stream that gets a line for each other request.
 */
import { listen } from "../../lib/listener.ts";

// As main.ts does: Deno's own handling of signals can't begin without file descriptors.
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
