import { concat } from "../../lib/quic/bytes.ts";
import { headersFrame } from "../../lib/quic/frame.ts";
import { decodeFieldSection } from "../../lib/quic/qpack.ts";
import { settingsFrame } from "../../lib/quic/settings.ts";
import { decodeVarint } from "../../lib/quic/varint.ts";

/** Where a server serves WebTransport, and its certificate as PEM. */
export interface WebTransportAddress {
  readonly port: number;
  readonly cert: string;
}

/** What a CONNECT says. The defaults are those of a client without an origin. */
export interface RawRequest {
  readonly authority?: string;
  readonly path?: string;
  readonly origin?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Pseudo-fields that replace the usual ones. */
  readonly pseudo?: Readonly<Record<string, string>>;
}

/** A client of WebTransport that can say anything in its request, unlike browsers and Deno. */
export class RawWebTransport implements Disposable {
  readonly conn: Deno.QuicConn;
  /** The answer's status. Undefined if the server has closed the connection instead. */
  readonly status: number | undefined;

  private constructor(conn: Deno.QuicConn, status: number | undefined) {
    this.conn = conn;
    this.status = status;
  }

  /** Sends a request and reads the answer. */
  static async open(
    { port, cert }: WebTransportAddress,
    request: RawRequest = {},
  ): Promise<RawWebTransport> {
    const conn = await Deno.connectQuic({
      hostname: "127.0.0.1",
      port,
      caCerts: [cert],
      alpnProtocols: ["h3"],
    });
    conn.closed.catch(() => {}); // the server may close it
    try {
      const control = (await conn.createUnidirectionalStream()).getWriter();
      await control.write(concat(Uint8Array.of(0), settingsFrame()));
      const { readable, writable } = await conn.createBidirectionalStream();
      await writable.getWriter().write(headersFrame(fieldsOf(request, port)));
      return new RawWebTransport(conn, await readStatus(readable));
    } catch {
      return new RawWebTransport(conn, undefined);
    }
  }

  [Symbol.dispose](): void {
    this.conn.close({ closeCode: 0, reason: "" });
  }
}

function fieldsOf(
  { authority, path = "/v1/webtransport", origin, headers = {}, pseudo }: RawRequest,
  port: number,
): readonly (readonly [string, string])[] {
  const usual = {
    ":method": "CONNECT",
    ":scheme": "https",
    ":authority": authority ?? `127.0.0.1:${port}`,
    ":path": path,
    ":protocol": "webtransport",
  };
  const fields = Object.entries({ ...usual, ...pseudo, ...headers });
  return origin === undefined ? fields : [...fields, ["origin", origin]];
}

async function readStatus(readable: ReadableStream<Uint8Array>): Promise<number | undefined> {
  let bytes = new Uint8Array();
  const reader = readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    bytes = concat(bytes, value) as Uint8Array<ArrayBuffer>;
    const type = decodeVarint(bytes);
    const length = decodeVarint(bytes, type?.length);
    if (type === undefined || length === undefined) continue;
    const start = type.length + length.length;
    if (bytes.length < start + length.value) continue;
    const fields = new Map(decodeFieldSection(bytes.subarray(start, start + length.value)));
    return Number(fields.get(":status"));
  }
}
