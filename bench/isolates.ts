import { readAnswer } from "./answer.ts";
import type { LoadOptions } from "./options.ts";
import { connectOptions, writeAll } from "./subscriber.ts";
import { authorization, channelName } from "./wire.ts";

/** Connections opened for each one that is needed. The system spreads them over the isolates. */
const MAX_ATTEMPTS = 50;

/**
 * Opens `each` connections to each of the two isolates of a process that runs by
 * `deno serve --parallel`. Whether two connections are at the same isolate is seen by a stream: its
 * token can be replaced at once only where it is open.
 */
export async function connectToIsolates(
  options: LoadOptions,
  each: number,
): Promise<[Deno.TcpConn[], Deno.TcpConn[]]> {
  const { publishAt, token } = options;
  const stream = await fetch(`http://${publishAt}/v1/channels/${channelName(0)}/events`, {
    headers: { Accept: "text/event-stream", Authorization: `Bearer ${token}` },
  });
  const id = stream.headers.get("Weir-Stream");
  if (id === null) throw new Error(`Cannot open a stream: ${stream.status}`);
  const request = new TextEncoder().encode(
    [
      `POST /v1/streams/${id}/token HTTP/1.1`,
      `Host: ${publishAt}`,
      ...authorization(token),
      "Content-Length: 0",
    ].join("\r\n") + "\r\n\r\n",
  );
  const sides: [Deno.TcpConn[], Deno.TcpConn[]] = [[], []];
  try {
    for (let attempt = 0; attempt < each * MAX_ATTEMPTS; attempt++) {
      if (sides.every((side) => side.length === each)) return sides;
      const connection = await Deno.connect(connectOptions(publishAt));
      connection.setNoDelay(true);
      await writeAll(connection, request);
      const { status, body } = await readAnswer(connection, new Uint8Array(16_384));
      if (status !== 204 && status !== 202) throw new Error(`No token swap: ${status} ${body}`);
      const side = sides[status === 204 ? 0 : 1];
      if (side.length < each) side.push(connection);
      else connection.close();
    }
  } finally {
    await stream.body?.cancel();
  }
  throw new Error(`Of all connections, ${sides.map((side) => side.length)} are at each isolate`);
}
