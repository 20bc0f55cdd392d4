import type { Transport, TransportHost } from "../connection/transport.ts";
import { badAnswerError, unreachableError } from "../core/errors.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { WeirError } from "../core/weir_error.ts";
import type { ChannelGroup } from "./channel_group.ts";
import { EventSourceParser, type StreamEvent } from "./event_source_parser.ts";
import { goodbyeError } from "./goodbye.ts";
import { request } from "./http.ts";
import { openHttp } from "./http_transport.ts";
import { shortPoll } from "./polling.ts";
import { MAX_SILENT_HEARTBEATS, parseHeartbeat, SilenceWatch } from "./silence_watch.ts";

const CONTENT_TYPE = "text/event-stream";
const TOKEN_TIMEOUT_MS = 10_000;

/**
 * Reads server-sent events by `fetch`.
 *
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export function openEventStream(host: TransportHost): Promise<Transport> {
  return openHttp(host, readStream, shortPoll);
}

async function readStream(group: ChannelGroup): Promise<void> {
  const { host, signal } = group;
  const { timing } = host;
  const timeoutMs = MAX_SILENT_HEARTBEATS * timing.heartbeatMs;
  const path = group.path("envelope=1");
  if (path === undefined) return;
  const options = { accepts: CONTENT_TYPE, signal, timeoutMs };
  await request(host, path, options, async ({ body, headers }, stopTimeout) => {
    if (body === null || !headers.get("Content-Type")?.startsWith(CONTENT_TYPE)) {
      throw badAnswerError("The answer is not an event stream.");
    }
    timing.heartbeatMs = parseHeartbeat(headers.get("Weir-Heartbeat"), timing.heartbeatMs);
    stopTimeout();
    await readBody(group, body.getReader());
  });
}

async function readBody(
  group: ChannelGroup,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  const { host, signal } = group;
  const parser = new EventSourceParser();
  const end = ({ code, detail, cause }: WeirError) =>
    host.down(new WeirError(code, detail, { cause, retryAfter: parser.retryMs }));
  const watch = new SilenceWatch(host, end);
  group.check = () => watch.check();
  try {
    let hasStarted = false;
    for (let read; !(read = await reader.read()).done && !signal.aborted;) {
      watch.heard();
      if (!hasStarted) group.started();
      hasStarted = true;
      for (const event of parser.push(read.value)) {
        if (signal.aborted) return;
        handle(host, event);
      }
    }
    if (!signal.aborted) end(unreachableError("The stream ended."));
  } catch (cause) {
    if (signal.aborted) return;
    const isUnreadable = cause instanceof WeirError || cause instanceof RangeError;
    end(
      isUnreadable
        ? badAnswerError("Cannot parse the stream.", cause)
        : unreachableError("The stream broke off.", cause),
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
      return void renewToken(host, String(message["stream"]));
    case "weir.unsubscribed":
      return channels.unsubscribed(message);
    case "weir.goodbye":
      return host.down(goodbyeError(message), true);
    case "weir.open":
      return;
    default:
      if (message["ephemeral"] === true) channels.ephemeral(message);
      else channels.event(message, data.length);
  }
}

/** Gives the stream a new token. If that fails, the stream ends with the old one. */
async function renewToken(host: TransportHost, stream: string): Promise<void> {
  const { credentials, signal } = host;
  try {
    const { token } = await credentials.renew();
    if (token === undefined) return;
    const path = `/v1/streams/${encodeURIComponent(stream)}/token`;
    const options = { method: "POST", signal, timeoutMs: TOKEN_TIMEOUT_MS };
    await request(host, path, options, (response) => response.text());
  } catch {
    // `auth` reports its own errors.
  }
}
