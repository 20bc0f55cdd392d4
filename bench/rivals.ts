/**
 * The servers that a load run can be driven against: Weir, and the rivals to compare with. Each is one
 * small object.
 */
import type { Answer } from "./answer.ts";
import type { LoadOptions, Transport, Wire } from "./options.ts";

/** A request that publishes. Bodies are ASCII. */
export interface PublishParts {
  readonly path: string;
  readonly body: string;
  /** @default only those of every request */
  readonly headers?: readonly string[];
}

/** A request that subscribes. */
export interface SubscribeParts {
  readonly path: string;
  readonly headers?: readonly string[];
  /** The first message of a WebSocket, at most 125 bytes. @default none */
  readonly hello?: string;
  /** What the server sends once the subscription is live; "": only the head of the answer. */
  readonly liveAt: string;
}

/** How a load run talks to a kind of server. */
export interface Protocol {
  /** The request that creates a channel. @default publishing creates it */
  create?(channel: string): { readonly path: string; readonly init: RequestInit };
  /** The request that publishes `events`, each of which is JSON. */
  publish(channel: string, events: readonly string[]): PublishParts;
  /** Whether the answer accepts all `events` of a publish. */
  accepts(answer: Answer, events: number): boolean;
  subscribe(channel: string, options: Pick<LoadOptions, "transport" | "held">): SubscribeParts;
}

/** A server to compare with. */
export interface Rival extends Protocol {
  readonly transports: readonly Transport[];
  /** How it is started. @default as the bare server, by Deno */
  readonly program?: Program;
  /** Whether the bare server stores events on Deno KV. @default false */
  readonly isDurable?: boolean;
}

/** A program that may be missing. */
export interface Program {
  readonly name: string;
  /** How to install it. */
  readonly install: string;
  /** Arguments by which it listens on `port` of 127.0.0.1 and has its files in `folder`. */
  args(port: number, folder: string): readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A rival's name. */
export type RivalName = Exclude<Wire, "weir">;

const HOST = "127.0.0.1";

const WEIR: Protocol = {
  publish(channel, events) {
    const [first = ""] = events;
    if (events.length === 1) return { path: `/v1/channels/${channel}/events`, body: first };
    const list = events.map((data) => `{"channel":"${channel}","data":${data}}`);
    return { path: "/v1/events", body: `{"events":[${list.join(",")}]}` };
  },
  accepts({ status, body }, events) {
    if (status !== 201) return false;
    const answer = JSON.parse(body);
    const acknowledged = events === 1 ? [answer] : answer.events;
    return acknowledged.length === events &&
      acknowledged.every(({ offset }: { readonly offset?: unknown }) => typeof offset === "string");
  },
  subscribe(channel, { transport, held }) {
    const isReplay = held > 0;
    if (transport === "sse") {
      const query = isReplay ? "?after=earliest" : "";
      return { path: `/v1/channels/${channel}/events${query}`, liveAt: "\n" };
    }
    const after = isReplay ? { after: "earliest" } : {};
    return {
      path: "/v1/socket",
      headers: ["Sec-WebSocket-Protocol: weir.v1"],
      hello: JSON.stringify({ op: "subscribe", ref: 1, channel, ...after }),
      liveAt: '"subscribed"',
    };
  },
};

/** In memory, without a log. */
const BARE: Rival = {
  transports: ["sse", "websocket", "webtransport"],
  publish: (channel, events) => ({ path: `/pub/${channel}`, body: events.join("\n") }),
  accepts: ({ status }) => status === 201,
  subscribe: (channel, { transport }) =>
    transport === "sse"
      ? { path: `/sub/${channel}`, liveAt: "\n" }
      : { path: `/ws/${channel}`, liveAt: "" },
};

/**
 * The bare server with a store on Deno KV: the least that a durable server on this runtime and store
 * takes.
 */
const BARE_KV: Rival = { ...BARE, transports: ["sse", "websocket"], isDurable: true };

/** The Rust server of Durable Streams, which acknowledges after `fdatasync`. */
const DURABLE_STREAMS: Rival = {
  transports: ["sse"],
  program: {
    name: "durable-streams-server",
    install: "cargo install durable-streams --version 0.1.5 --locked",
    args: (port, folder) => {
      const listen = ["--host", HOST, "--port", `${port}`];
      return [...listen, "--data-dir", folder, "--durability", "wal"];
    },
  },
  create: (channel) => ({
    path: `/v1/stream/${channel}`,
    init: { method: "PUT", headers: { "Content-Type": "application/json" } },
  }),
  publish: (channel, events) => ({
    path: `/v1/stream/${channel}`,
    body: events.length === 1 ? events.join() : `[${events.join(",")}]`,
  }),
  accepts: ({ status }) => status === 204,
  subscribe: (channel, { held }) => ({
    path: `/v1/stream/${channel}?offset=${held > 0 ? "-1" : "now"}&live=sse`,
    liveAt: "upToDate",
  }),
};

const CENTRIFUGO_KEY = "bench";

/** Keeps nothing: its channels are in memory, without history. */
const CENTRIFUGO: Rival = {
  transports: ["sse", "websocket"],
  program: {
    name: "centrifugo",
    install: "go install github.com/centrifugal/centrifugo/v6@v6.9.1",
    args: (port, folder) => {
      const listen = ["--http_server.address", HOST, "--http_server.port", `${port}`];
      return ["--config", `${folder}/none.json`, ...listen];
    },
    env: {
      CENTRIFUGO_HTTP_API_KEY: CENTRIFUGO_KEY,
      CENTRIFUGO_CLIENT_INSECURE: "true",
      CENTRIFUGO_CLIENT_ALLOWED_ORIGINS: "*",
      CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_SUBSCRIBE_FOR_CLIENT: "true",
      CENTRIFUGO_UNI_SSE_ENABLED: "true",
      CENTRIFUGO_UNI_WEBSOCKET_ENABLED: "true",
      CENTRIFUGO_LOG_LEVEL: "error",
    },
  },
  publish: (channel, events) => ({
    path: "/api/publish",
    headers: [`X-API-Key: ${CENTRIFUGO_KEY}`],
    body: `{"channel":"${channel}","data":${events.join()}}`,
  }),
  accepts: ({ status, body }) => status === 200 && !body.includes('"error"'),
  subscribe(channel, { transport }) {
    const connect = JSON.stringify({ subs: { [channel]: {} } });
    const liveAt = '"subs"';
    return transport === "sse"
      ? { path: `/connection/uni_sse?cf_connect=${encodeURIComponent(connect)}`, liveAt }
      : { path: "/connection/uni_websocket", hello: connect, liveAt };
  },
};

export const RIVALS: Readonly<Record<RivalName, Rival>> = {
  bare: BARE,
  "bare-kv": BARE_KV,
  "durable-streams": DURABLE_STREAMS,
  centrifugo: CENTRIFUGO,
};

export const PROTOCOLS: Readonly<Record<Wire, Protocol>> = { weir: WEIR, ...RIVALS };
