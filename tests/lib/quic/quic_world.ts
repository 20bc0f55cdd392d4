import assert from "node:assert/strict";
import { CLOSE_GRACE_MS } from "../../../lib/quic/limits.ts";
import { serveWebTransport, type WebTransportServer } from "../../../lib/quic/server.ts";
import type { WebTransportRequest } from "../../../lib/quic/session.ts";
import { FakeClock } from "../../support/clock.ts";
import type { Http3Client } from "../../support/http3_client.ts";
import { TEST_PAIR } from "../../support/quic_certificate.ts";
import { Echo } from "./echo_handler.ts";

/** A server whose sessions are {@link Echo}'s, or with another `onRequest`. */
export class World implements AsyncDisposable {
  readonly echo = new Echo();
  readonly clock = new FakeClock();
  readonly errors: unknown[] = [];
  readonly server: WebTransportServer;

  constructor(onRequest: (request: WebTransportRequest) => void = this.echo.onRequest) {
    this.server = serveWebTransport({
      hostname: "127.0.0.1",
      port: 0,
      pair: TEST_PAIR,
      onRequest,
      onError: (cause) => this.errors.push(cause),
      timers: this.clock,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.server.close();
    this.clock.advance(CLOSE_GRACE_MS);
    await closing;
    assert.deepEqual(this.errors, []);
  }
}

/** Returns whether a session still echoes datagrams. */
export async function isAlive({ conn }: Http3Client): Promise<boolean> {
  await conn.sendDatagram(Uint8Array.of(0, 1, 2, 3));
  return (await conn.readDatagram()).toHex() === "00010203";
}
