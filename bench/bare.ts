// deno-lint-ignore-file no-console
/**
 * A bare Deno server to compare with: no replay, no order across transports. It writes each event to
 * each subscriber of its channel as it arrives. `POST /pub/CHANNEL`, `GET /sub/CHANNEL` (SSE),
 * `GET /ws/CHANNEL` (WebSocket). With a file as its argument, it first stores the event there on Deno
 * KV; otherwise everything is in memory.
 */
import { BareStore } from "./bare_store.ts";

interface Channel {
  readonly streams: Set<ReadableStreamDefaultController<Uint8Array>>;
  readonly sockets: Set<WebSocket>;
}

const encoder = new TextEncoder();
const channels = new Map<string, Channel>();
const [file] = Deno.args;
const store = file === undefined ? undefined : new BareStore(await Deno.openKv(file));

function channelOf(name: string): Channel {
  let channel = channels.get(name);
  if (channel === undefined) {
    channel = { streams: new Set(), sockets: new Set() };
    channels.set(name, channel);
  }
  return channel;
}

async function publish(name: string, request: Request): Promise<Response> {
  const data = await request.text();
  if (store !== undefined) await store.append(name, data);
  const { streams, sockets } = channelOf(name);
  const frame = encoder.encode(`data: ${data}\n\n`);
  for (const stream of streams) stream.enqueue(frame);
  for (const socket of sockets) if (socket.readyState === WebSocket.OPEN) socket.send(data);
  return Response.json({ ok: true }, { status: 201 });
}

function subscribe({ streams }: Channel): Response {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(started) {
      controller = started;
      streams.add(started);
      started.enqueue(encoder.encode(":\n\n"));
    },
    cancel() {
      if (controller !== undefined) streams.delete(controller);
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function upgrade({ sockets }: Channel, request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onopen = () => sockets.add(socket);
  socket.onclose = () => sockets.delete(socket);
  socket.onerror = () => sockets.delete(socket);
  return response;
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`Bare listening on http://127.0.0.1:${port}/`),
}, (request) => {
  const [, action, name = ""] = new URL(request.url).pathname.split("/");
  if (action === "pub" && request.method === "POST") return publish(name, request);
  if (action === "sub") return subscribe(channelOf(name));
  if (action === "ws") return upgrade(channelOf(name), request);
  return new Response("Not found", { status: 404 });
});
