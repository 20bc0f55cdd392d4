/** Reads responses of HTTP/1.1 from raw sockets. ASCII bodies only. */
const decoder = new TextDecoder();

/** A complete response. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Reads one response, with a Content-Length or chunked (RFC 9112 §6). */
export async function readAnswer(connection: Deno.TcpConn, buffer: Uint8Array): Promise<Answer> {
  let have = 0;
  while (have < buffer.length) {
    const n = await connection.read(buffer.subarray(have));
    if (n === null) throw new Error("The server ended a publisher's connection");
    have += n;
    const answer = parseAnswer(decoder.decode(buffer.subarray(0, have)));
    if (answer !== undefined) return answer;
  }
  throw new Error(`The answer to a publish is longer than ${buffer.length} bytes`);
}

/** Parses the response in `text`; undefined while it is incomplete. */
function parseAnswer(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const status = Number(text.slice(9, 12));
  const head = text.slice(0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const body = text.slice(end + 4);
    return body.length < Number(length) ? undefined : { status, body };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { status, body: "" };
  let body = "";
  let at = end + 4;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = parseInt(text.slice(at, line), 16);
    if (text.length < line + 2 + size + 2) return undefined;
    if (size === 0) return { status, body };
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}
