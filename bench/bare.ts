// deno-lint-ignore-file no-console
/**
 * A bare in-memory Deno server to compare with: no log, no replay, no order across transports. It
 * writes each event to each subscriber as it arrives. `POST /pub`, `GET /sub` (SSE), `GET /ws`
 * (WebSocket).
 */
const encoder = new TextEncoder();
const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
const sockets = new Set<WebSocket>();

async function publish(request: Request): Promise<Response> {
  const data = await request.text();
  const frame = encoder.encode(`data: ${data}\n\n`);
  for (const stream of streams) stream.enqueue(frame);
  for (const socket of sockets) if (socket.readyState === WebSocket.OPEN) socket.send(data);
  return Response.json({ ok: true }, { status: 201 });
}

function subscribe(): Response {
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

function upgrade(request: Request): Response {
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
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname === "/pub") return publish(request);
  if (pathname === "/sub") return subscribe();
  if (pathname === "/ws") return upgrade(request);
  return new Response("Not found", { status: 404 });
});
