/** The size of the buffer of one read. */
const READ_BYTES = 64 * 1024;
const MASK = [1, 2, 3, 4] as const;

/** A WebSocket frame (RFC 6455 §5.2). */
export interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A TCP connection that does nothing by itself: it does not read, and answers no ping. */
export class RawConnection implements Disposable {
  readonly #conn: Deno.TcpConn;
  #unread = new Uint8Array();

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(port: number): Promise<RawConnection> {
    return new RawConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** Closes the sending direction. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Sends a GET and reads the head of the response. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    await this.write(head("GET", path, headers));
    return await this.readUntil("\r\n\r\n");
  }

  /** Performs the opening handshake of a WebSocket (RFC 6455 §4.1). */
  async upgrade(path: string): Promise<string> {
    const answer = await this.get(path, {
      "Connection": "Upgrade",
      "Upgrade": "websocket",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol": "weir.v1",
      "Sec-WebSocket-Version": "13",
    });
    if (!answer.startsWith("HTTP/1.1 101")) throw new Error(answer);
    return answer;
  }

  sendText(text: string): Promise<void> {
    return this.send({ opcode: OPCODE.text, payload: new TextEncoder().encode(text) });
  }

  /** Sends one masked frame. */
  async send({ opcode, payload }: Frame): Promise<void> {
    const { length } = payload;
    const size = length < 126
      ? [0x80 | length]
      : length < 65_536
      ? [0x80 | 126, length >> 8, length & 255]
      : [
        0x80 | 127,
        0,
        0,
        0,
        0,
        length >>> 24,
        (length >> 16) & 255,
        (length >> 8) & 255,
        length & 255,
      ];
    const masked = payload.map((byte, i) => byte ^ (MASK[i % 4] ?? 0));
    await this.write(Uint8Array.from([0x80 | opcode, ...size, ...MASK]));
    await this.write(masked);
  }

  /** Reads the next frame; undefined at the end of the connection. */
  async frame(): Promise<Frame | undefined> {
    const start = await this.readBytes(2);
    if (start === undefined) return undefined;
    const [first = 0, second = 0] = start;
    let length = second & 127;
    const more = await this.readBytes(length === 126 ? 2 : length === 127 ? 8 : 0);
    if (more === undefined) return undefined;
    if (more.length > 0) length = more.reduce((sum, byte) => sum * 256 + byte, 0);
    const payload = await this.readBytes(length);
    return payload && { opcode: first & 15, payload };
  }

  /** Reads all text up to and including `mark`. */
  async readUntil(mark: string): Promise<string> {
    while (true) {
      const text = new TextDecoder("latin1").decode(this.#unread);
      const at = text.indexOf(mark);
      if (at !== -1) {
        this.#unread = this.#unread.slice(at + mark.length);
        return text.slice(0, at + mark.length);
      }
      if (!await this.#readMore()) throw new Error(`the connection ended after ${text}`);
    }
  }

  /** Reads some bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#unread.length === 0 && !await this.#readMore()) return undefined;
    const bytes = this.#unread;
    this.#unread = new Uint8Array();
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  /** Reads exactly `length` bytes; undefined if the connection ends first. */
  async readBytes(count: number): Promise<Uint8Array | undefined> {
    while (this.#unread.length < count) if (!await this.#readMore()) return undefined;
    const bytes = this.#unread.slice(0, count);
    this.#unread = this.#unread.slice(count);
    return bytes;
  }

  async #readMore(): Promise<boolean> {
    const buffer = new Uint8Array(READ_BYTES);
    let length: number | null;
    try {
      length = await this.#conn.read(buffer);
    } catch (cause) {
      if (cause instanceof Deno.errors.ConnectionReset) return false;
      throw cause;
    }
    if (length === null) return false;
    const joined = new Uint8Array(this.#unread.length + length);
    joined.set(this.#unread);
    joined.set(buffer.subarray(0, length), this.#unread.length);
    this.#unread = joined;
    return true;
  }
}

/** Formats the head of a request to this machine. */
export function head(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const lines = Object.entries({ Host: "127.0.0.1", ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
