// deno-lint-ignore-file no-console
/**
 * A bare server over Weir's HTTP/3 layer to compare with: no log, no replay, no acknowledgements. It
 * gathers the events of one turn of the event loop and writes them to a stream of each session.
 * `POST /pub/CHANNEL` of any channel, `GET /v1/transports` as Weir's, and WebTransport at any path.
 */
import { setImmediate } from "node:timers";
import type { SendStream } from "../lib/quic/send_stream.ts";
import { serveWebTransport } from "../lib/quic/server.ts";
import { makeSelfSignedCertificate } from "../lib/self_signed_certificate.ts";

const HOST = "127.0.0.1";
const encoder = new TextEncoder();
const streams = new Set<SendStream>();
let gathered: string[] = [];

const certificate = await makeSelfSignedCertificate(Date.now());
const quic = serveWebTransport({
  hostname: HOST,
  port: 0,
  pair: certificate,
  onRequest(request) {
    let stream: SendStream | undefined;
    const session = request.accept({
      bidirectional() {},
      unidirectional() {},
      datagram: (payload) => session.sendDatagram(payload), // an echo
      closed: () => stream && streams.delete(stream),
    });
    void session.openUnidirectional().then((opened) => {
      stream = opened;
      streams.add(opened);
      void opened.write(encoder.encode("\n"));
    });
  },
});

async function publish(request: Request): Promise<Response> {
  if (gathered.length === 0) setImmediate(flush);
  gathered.push(await request.text());
  return Response.json({ ok: true }, { status: 201 });
}

function flush(): void {
  const bytes = encoder.encode(`${gathered.join("\n")}\n`);
  gathered = [];
  for (const stream of streams) void stream.write(bytes);
}

Deno.serve({
  hostname: HOST,
  port: 0,
  onListen: ({ port }) => console.log(`Bare listening on http://${HOST}:${port}/`),
}, (request) => {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname.startsWith("/pub/")) return publish(request);
  if (pathname === "/v1/transports") {
    const url = `https://${HOST}:${quic.addr.port}/`;
    const certificateHashes = [{ algorithm: "sha-256", value: certificate.hash }];
    return Response.json({ webtransport: { url, certificateHashes } });
  }
  return new Response("Not found", { status: 404 });
});
