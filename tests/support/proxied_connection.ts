/** The size of the buffer of one read. */
const READ_BYTES = 64 * 1024;

/** The purpose of a request, according to its head. */
export type RequestKind =
  /** A QUIC connection, of which the proxy sees only the datagrams. */
  | "webtransport"
  | "websocket"
  | "sse"
  | "long-poll"
  | "short-poll"
  | "publish"
  | "other";

/** How a connection is broken. */
export type Fault =
  /** Closes instead of answering. */
  | { readonly act: "refuse" }
  /** Never answers, and stays open. */
  | { readonly act: "stall" }
  /** Answers with `text` and closes, unless `open`. */
  | { readonly act: "answer"; readonly text: string; readonly open?: boolean }
  /** Closes, or falls silent, after exactly `after` bytes up (from the client) or down. */
  | {
    readonly act: "cut" | "hush";
    readonly way: "up" | "down";
    readonly after: number;
  }
  /** Holds back the body of the answer until it has ended. */
  | { readonly act: "buffer" }
  /** Waits before it forwards the request. */
  | { readonly act: "delay"; readonly ms: number };

type Cut = Extract<Fault, { readonly act: "cut" | "hush" }>;

/** The first line of a request. */
export interface RequestHead {
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
}

/** A connection of a client, and the connection to the server that belongs to it. */
export class ProxiedConnection {
  kind: RequestKind | undefined;
  readonly #client: Deno.TcpConn;
  readonly #closed = Promise.withResolvers<void>();
  #server: Deno.TcpConn | undefined;
  #isClosed = false;
  #isHushed = false;
  /** The head for the server, and what the client sent after it. */
  #unsent: Uint8Array = new Uint8Array();

  constructor(client: Deno.TcpConn) {
    this.#client = client;
  }

  /** Reads the head; undefined if the client leaves first. */
  async readHead(): Promise<RequestHead | undefined> {
    let bytes = new Uint8Array();
    for (let end = -1; end < 0;) {
      const more = await read(this.#client);
      if (more === undefined) return undefined;
      bytes = concat(bytes, more);
      const text = new TextDecoder("latin1").decode(bytes);
      end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const [line = "", ...fields] = text.slice(0, end).split("\r\n");
      const isUpgrade = /^upgrade:/im.test(text.slice(0, end));
      const kept = fields.filter((field) => isUpgrade || !/^connection:/i.test(field));
      const head = [line, ...kept, ...isUpgrade ? [] : ["Connection: close"]].join("\r\n");
      this.#unsent = concat(latin1(`${head}\r\n\r\n`), bytes.subarray(end + 4));
      const [method = "", path = ""] = line.split(" ");
      return { kind: kindOf(method, path, text.slice(0, end)), method, path };
    }
    return undefined;
  }

  /** Discards all input until the client leaves. */
  async stall(): Promise<void> {
    while (await read(this.#client) !== undefined);
  }

  /** Answers with `text` instead of the server. */
  async answer(text: string, isOpen = false): Promise<void> {
    if (!await write(this.#client, new TextEncoder().encode(text))) return;
    if (!isOpen) await this.#end();
    await this.stall();
  }

  /** Relays in both directions until both sides have ended. */
  async relay(port: number, fault: Fault | undefined): Promise<void> {
    if (fault?.act === "delay") await this.#delay(fault.ms);
    if (this.#isClosed) return;
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port });
    } catch {
      return; // the client sees a closed connection too
    }
    if (this.#isClosed) return server.close();
    this.#server = server;
    const isCut = fault?.act === "cut" || fault?.act === "hush";
    await Promise.all([
      this.#pumpUp(server, isCut && fault.way === "up" ? fault : undefined),
      this.#pumpDown(server, isCut && fault.way === "down" ? fault : undefined, fault),
    ]);
  }

  /** Keeps the client's connection open and silent, and closes that to the server. */
  hush(): void {
    this.#isHushed = true;
    this.#closeServer();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeServer();
    this.#client.close();
    this.#closed.resolve();
  }

  #closeServer(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async #delay(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const passed = new Promise((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([passed, this.#closed.promise]);
    clearTimeout(timer);
  }

  /** Relays to the server until the client has ended. Discards what the server no longer takes. */
  async #pumpUp(server: Deno.TcpConn, cut: Cut | undefined): Promise<void> {
    let left = cut?.after ?? Infinity;
    for (let bytes: Uint8Array | undefined = this.#unsent; bytes !== undefined;) {
      if (left > 0 && !this.#isHushed) await write(server, bytes.subarray(0, left));
      left -= bytes.length;
      if (cut !== undefined && left <= 0) this.#do(cut);
      bytes = await read(this.#client);
    }
    this.close();
  }

  /** Relays to the client until the server has ended. */
  async #pumpDown(
    server: Deno.TcpConn,
    cut: Cut | undefined,
    fault: Fault | undefined,
  ): Promise<void> {
    let left = cut?.after ?? Infinity;
    const held: Uint8Array[] = [];
    let isHolding = false;
    for (let bytes = await read(server); bytes !== undefined; bytes = await read(server)) {
      const end = isHolding ? 0 : fault?.act === "buffer" ? endOfHead(bytes) : left;
      isHolding ||= fault?.act === "buffer";
      if (!await write(this.#client, bytes.subarray(0, end))) return;
      if (isHolding) held.push(bytes.subarray(end));
      left = Math.max(0, left - bytes.length);
      if (cut !== undefined && left === 0) this.#do(cut);
    }
    if (this.#isHushed || this.#isClosed) return;
    for (const bytes of held) await write(this.#client, bytes);
    await this.#end();
  }

  #do({ act }: Cut): void {
    if (act === "hush") this.hush();
    else this.close();
  }

  /** Ends the answer. The client can still read what was sent. */
  async #end(): Promise<void> {
    try {
      await this.#client.closeWrite();
    } catch {
      // The client has left.
    }
  }
}

/** Returns where the body starts; the server sends a head in one piece. */
function endOfHead(bytes: Uint8Array): number {
  const at = new TextDecoder("latin1").decode(bytes).indexOf("\r\n\r\n");
  return at < 0 ? bytes.length : at + 4;
}

function kindOf(method: string, path: string, head: string): RequestKind {
  if (/^upgrade: *websocket/im.test(head)) return "websocket";
  const { pathname, searchParams } = new URL(path, "http://localhost");
  if (!/^\/v1\/(?:channels\/[^/]+\/)?events$/.test(pathname)) return "other";
  if (method === "POST") return "publish";
  if (method !== "GET") return "other";
  if (/^accept:.*text\/event-stream/im.test(head)) return "sse";
  return Number(searchParams.get("wait") ?? 0) > 0 ? "long-poll" : "short-poll";
}

/** Reads some bytes; undefined at the end, also after an error. */
async function read(conn: Deno.TcpConn): Promise<Uint8Array | undefined> {
  const buffer = new Uint8Array(READ_BYTES);
  try {
    const length = await conn.read(buffer);
    return length === null ? undefined : buffer.subarray(0, length);
  } catch {
    return undefined; // reset, or closed by the proxy itself
  }
}

/** Writes all bytes. Returns false if the connection ended first. */
async function write(conn: Deno.TcpConn, bytes: Uint8Array): Promise<boolean> {
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    return true;
  } catch {
    return false; // see read()
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
