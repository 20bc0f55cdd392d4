import { EventSourceParser, type StreamEvent } from "./event_source_parser.ts";
import { request } from "./http.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { type Group, openHttp } from "./http_transport.ts";
import { shortPoll } from "./polling.ts";
import { badAnswerError, unreachableError } from "../core/errors.ts";
import { goodbyeError } from "./goodbye.ts";
import type { Transport, TransportHost } from "../connection/transport.ts";
import { MAX_SILENT_HEARTBEATS, parseHeartbeat, SilenceWatch } from "./silence_watch.ts";
import { WeirError } from "../core/weir_error.ts";

const STREAM = "text/event-stream";
/** For the answer to another token, in ms. */
const TOKEN_LIMIT_MS = 10_000;

/** Server-sent events by `fetch`. @see {@link import("../connection/transport.ts").OpenTransport} */
export function openEventStream(host: TransportHost): Promise<Transport> {
  return openHttp(host, readStream, shortPoll);
}

async function readStream(group: Group): Promise<void> {
  const { host, signal } = group;
  const limit = MAX_SILENT_HEARTBEATS * host.timing.heartbeatMs;
  const path = group.path("envelope=1");
  if (path === undefined) return;
  await request(
    host,
    path,
    { accept: STREAM, signal, timeoutMs: limit },
    async (response, begun) => {
      const { body, headers } = response;
      if (body === null || !headers.get("Content-Type")?.startsWith(STREAM)) {
        throw badAnswerError("There is no event stream.");
      }
      const { timing } = host;
      timing.heartbeatMs = parseHeartbeat(headers.get("Weir-Heartbeat"), timing.heartbeatMs);
      begun();
      await readBody(group, body.getReader());
    },
  );
}

async function readBody(
  group: Group,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  const { host, signal } = group;
  const parser = new EventSourceParser();
  // It comes back when `retry:` allows it.
  const end = ({ code, detail, cause }: WeirError) =>
    host.down(new WeirError(code, detail, { cause, retryAfter: parser.retry }));
  const watch = new SilenceWatch(host, end);
  group.check = () => watch.check();
  try {
    let hasBegun = false;
    for (let read; !(read = await reader.read()).done && !signal.aborted;) {
      watch.heard();
      if (!hasBegun) group.began();
      hasBegun = true;
      for (const event of parser.push(read.value)) {
        if (signal.aborted) return;
        handle(host, event);
      }
    }
    if (!signal.aborted) end(unreachableError("The stream has ended."));
  } catch (cause) {
    if (signal.aborted) return;
    const isKnown = cause instanceof WeirError || cause instanceof RangeError;
    end(
      isKnown
        ? badAnswerError("The stream can't be read.", cause)
        : unreachableError("It broke.", cause),
    );
  } finally {
    watch.stop();
  }
}

function handle(host: TransportHost, { type, data }: StreamEvent): void {
  const { channels } = host;
  const message = parseJsonObject(data);
  switch (type) {
    case "weir.gap":
      return channels.gap(message);
    case "weir.token":
      return void renew(host, String(message["stream"]));
    case "weir.unsubscribed":
      return channels.unsubscribed(message);
    case "weir.goodbye":
      return host.down(goodbyeError(message), true);
    default:
      if (message["ephemeral"] === true) channels.ephemeral(message);
      else channels.event(message, data.length);
  }
}

/** What is refused, or can't be had, shows at the end of the old credential. */
async function renew(host: TransportHost, stream: string): Promise<void> {
  const { credentials, signal } = host;
  try {
    const { token } = await credentials.renew();
    if (token === undefined) return;
    const path = `/v1/streams/${encodeURIComponent(stream)}/token`;
    await request(
      host,
      path,
      { method: "POST", signal, timeoutMs: TOKEN_LIMIT_MS },
      (response) => response.text(),
    );
  } catch {
    // Of `auth` the application was told.
  }
}
