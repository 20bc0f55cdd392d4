import assert from "node:assert/strict";
import { CLOSE_GRACE_MS } from "../../../lib/quic/limits.ts";
import { serveWebTransport, type WebTransportServer } from "../../../lib/quic/server.ts";
import type { WebTransportRequest } from "../../../lib/quic/session.ts";
import { waitAtMost } from "../../../lib/shared/async/deadline.ts";
import { FakeClock } from "../../support/clock.ts";
import type { Http3Client } from "../../support/http3_client.ts";
import { TEST_PAIR } from "../../support/quic_certificate.ts";
import { until } from "../../support/until.ts";
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

/** Datagrams that {@link isAlive} has sent: each has its number. */
let asked = 0;

/** Returns whether a session still echoes datagrams. Sends another one if the first is lost. */
export async function isAlive({ conn }: Http3Client): Promise<boolean> {
  const first = asked + 1;
  let echoed = 0;
  const reading = (async () => {
    // The echo of an earlier call's datagram proves nothing.
    while (echoed < first) echoed = numberOf(await conn.readDatagram());
  })();
  await until("a datagram has come back", async () => {
    asked++;
    await conn.sendDatagram(Uint8Array.of(0, asked >> 8, asked));
    await waitAtMost(reading, 1_000);
    return echoed >= first;
  });
  return true;
}

function numberOf([_session, high = 0, low = 0]: Uint8Array): number {
  return high << 8 | low;
}
