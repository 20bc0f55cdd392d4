import assert from "node:assert/strict";
import type { SendStream } from "../../../lib/quic/send_stream.ts";
import type {
  SessionEnd,
  SessionHandler,
  WebTransportRequest,
  WebTransportSession,
} from "../../../lib/quic/session.ts";

/** Sends back what comes on streams and in datagrams, and keeps how sessions end. */
export class Echo {
  readonly ends: SessionEnd[] = [];
  readonly sessions: WebTransportSession[] = [];
  readonly requests: WebTransportRequest[] = [];

  /** Accepts requests for `/echo`, and refuses others. */
  readonly onRequest = (request: WebTransportRequest): void => {
    this.requests.push(request);
    if (!request.path.startsWith("/echo")) return request.refuse(404);
    const handler: SessionHandler = {
      bidirectional: ({ readable, writable }) => copy(readable, writable),
      unidirectional: async (readable) => copy(readable, await session.openUnidirectional()),
      datagram: (payload) => session.sendDatagram(payload),
      closed: (end) => this.ends.push(end),
    };
    const session = request.accept(handler);
    this.sessions.push(session);
  };
}

/** Copies a stream until it ends, is reset, or the connection is lost. */
async function copy(readable: ReadableStream<Uint8Array>, writable: SendStream): Promise<void> {
  try {
    for await (const chunk of readable) writable.write(chunk);
  } catch (cause) {
    assert.ok(cause instanceof Error);
  }
  writable.end();
}
