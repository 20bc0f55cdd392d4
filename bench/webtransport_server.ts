// deno-lint-ignore-file no-console
/**
 * Writes events to each session as fast as it takes them: `bare` on QUIC connections without HTTP/3,
 * `layer` on sessions of lib/quic. Prints its port.
 */
import { serveWebTransport } from "../lib/quic/server.ts";
import { TEST_PAIR } from "../tests/support/quic_certificate.ts";

const [kind, eventsPerWrite = "64"] = Deno.args;
/** One write: events of 100 bytes. */
const CHUNK = new Uint8Array(100 * Number(eventsPerWrite)).fill(0x61);

if (kind === "bare") serveBare();
else serveLayer();

function serveLayer(): void {
  const { addr } = serveWebTransport({
    hostname: "127.0.0.1",
    port: 0,
    pair: TEST_PAIR,
    onRequest(request) {
      let isOpen = true;
      const session = request.accept({
        bidirectional() {},
        unidirectional() {},
        // The first datagram starts the writes.
        async datagram() {
          const stream = await session.openUnidirectional();
          while (isOpen) await stream.write(CHUNK);
        },
        closed: () => void (isOpen = false),
      });
    },
    onError: console.error,
  });
  console.log(addr.port);
}

async function serveBare(): Promise<void> {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    ...TEST_PAIR,
    alpnProtocols: ["h3"],
    maxIdleTimeout: 10_000,
    keepAliveInterval: 3_000,
  });
  console.log(endpoint.addr.port);
  for (;;) {
    const connection = await listener.accept();
    connection.closed.catch(() => {}); // it was lost
    write(connection).catch(() => {}); // the connection is gone
  }
}

async function write(connection: Deno.QuicConn): Promise<void> {
  await connection.readDatagram();
  const stream = await connection.createUnidirectionalStream();
  const writer = stream.getWriter();
  for (;;) await writer.write(CHUNK);
}
