import { z } from "zod";
import { clientMessages } from "../../lib/transports/messages/message.ts";
import { VERSION } from "../../lib/version.ts";
import type { Meaning } from "./meaning.ts";
import { CHANNEL, MEMBER, PUBLICATION, READABLE_CHANNEL, SESSION } from "./names.ts";
import { schemaOf } from "./openapi.ts";
import { ephemeralEnvelope, serverMessages, type ServerOp, systemEvents } from "./messages.ts";
import { schemas } from "./schemas.ts";

type Json = Record<string, unknown>;
type ClientOp = keyof typeof clientMessages;

const OFFSET = "0mwpu38co_0000000000000002";

const INFO =
  `The messages of WebSockets (\`weir.v1\`) and the events of streams of server-sent events.

- Text frames carry JSON objects, one per line: messages. Each message of a client with a \`ref\` is answered with the same \`ref\`.
- Without the subprotocol \`weir.v1\` each frame of the server has exactly one message.
- WebTransport (\`/v1/webtransport\`) carries the same messages; [the protocol](/docs/protocol.md#webtransport) has what differs.
- Clients must ignore members and messages that they do not know.
- Routes, headers and credentials are in [\`/openapi.json\`](/openapi.json).`;

/** What the messages of a client are for, and what answers them in addition to `error`. */
const CLIENT_MESSAGES: Readonly<
  Record<ClientOp, { readonly text: string; readonly answer?: ServerOp; readonly example: Json }>
> = {
  subscribe: {
    text: "Reads a channel, or several channels under one cursor.",
    answer: "subscribed",
    example: { op: "subscribe", ref: 1, channel: "orders", after: "latest" },
  },
  unsubscribe: {
    text: "Ends a subscription. Names the channels as `subscribe` did.",
    answer: "unsubscribed",
    example: { op: "unsubscribe", ref: 2, channel: "orders" },
  },
  publish: {
    text: "Publishes an event.",
    answer: "ack",
    example: { op: "publish", ref: 3, channel: "orders", data: { amount: 3 } },
  },
  enter: {
    text: "Joins the presence of a channel, or updates the member's data.",
    answer: "entered",
    example: { op: "enter", ref: 4, channel: "lobby", member: "ann", data: { color: "red" } },
  },
  leave: {
    text: "Leaves the presence of a channel.",
    answer: "left",
    example: { op: "leave", ref: 5, channel: "lobby", member: "ann" },
  },
  signal: {
    text: "Sends a signal to sessions of another member.",
    answer: "ack",
    example: {
      op: "signal",
      ref: 6,
      channel: "lobby",
      member: "ann",
      session: "k3Jx",
      to: "bob",
      data: { candidate: "…" },
    },
  },
  auth: {
    text: "Brings the connection's first credential, or another one of the same `sub`.",
    answer: "authenticated",
    example: { op: "auth", ref: 7, token: "eyJhbGciOiJFZERTQSJ9.e30.c2ln" },
  },
  ping: { text: "Asks whether the server is there.", answer: "pong", example: { op: "ping" } },
  received: {
    text: "WebTransport only: the bytes that the client has taken from event streams.",
    example: { op: "received", streams: { 1: 40_960 } },
  },
};

/** What the members of a client's messages mean. */
const CLIENT_MEMBERS: Readonly<Record<string, Meaning>> = {
  ...PUBLICATION,
  op: { text: "The kind of the message." },
  ref: { text: "The client's own name for the message. Its answer has the same." },
  channels: {
    text: "Several channels under one cursor, instead of `channel`.",
    schema: { items: READABLE_CHANNEL.schema, maxItems: 100 },
  },
  after: { text: "A cursor (exclusive), `earliest` or `latest`, which is the default." },
  member: { ...MEMBER, text: "The member's name. A token with a `sub` needs none." },
  session: SESSION,
  to: { ...MEMBER, text: "The member that receives the signal." },
  toSession: { text: "Its session. Without it, all named sessions of the member." },
  token: { text: "A token or an API key." },
  streams: { text: "The bytes taken from each stream since it began, by its number." },
};

const eventExample = {
  channel: "orders",
  offset: OFFSET,
  id: OFFSET,
  type: "message",
  time: "2026-11-21T03:13:58.566Z",
  contentType: "application/json",
  data: { amount: 3 },
};
const ephemeralExample = {
  channel: "orders",
  type: "typing",
  time: "2026-11-21T03:13:58.566Z",
  contentType: "application/json",
  data: { user: "ann" },
};
const gapExample = {
  channel: "orders",
  reason: "expired",
  requested: "0mwpu38co_0000000000000000",
  firstAvailable: OFFSET,
  lost: 1,
};

const SERVER_EXAMPLES: Readonly<Record<ServerOp, Json>> = {
  welcome: { session: "7f0c2f1e-5a3b-4a54-9d0e-6a4f6d1a8b11", heartbeat: 10_000 },
  event: eventExample,
  ephemeral: ephemeralExample,
  gap: { ...gapExample, cursor: OFFSET },
  subscribed: { ref: 1, channel: "orders", offset: OFFSET },
  unsubscribed: { ref: 2 },
  ack: { ref: 3, offset: OFFSET, id: OFFSET },
  authenticated: { ref: 7, expiresIn: 3_600_000 },
  entered: { ref: 4, channel: "lobby", member: "ann", offset: OFFSET },
  left: { ref: 5 },
  pong: {},
  token: { expiresIn: 60_000 },
  error: { ref: 1, code: "forbidden", detail: 'No right to subscribe to "orders".' },
  goodbye: { retry: 1_200, reason: "stopping" },
};

const SYSTEM_EXAMPLES: Readonly<Record<keyof typeof systemEvents, Json>> = {
  "weir.open": { cursor: OFFSET },
  "weir.gap": gapExample,
  "weir.token": { stream: "7f0c2f1e-5a3b-4a54-9d0e-6a4f6d1a8b11", expiresIn: 60_000 },
  "weir.unsubscribed": { channel: "orders", reason: "forbidden" },
  "weir.goodbye": { retry: 1_200, reason: "stopping" },
};

/** One message in a channel of AsyncAPI. */
interface Message {
  /** Its name in the channel. */
  readonly id: string;
  readonly text: string;
  readonly payload: Json;
  readonly example: Json;
}

/** Returns the description of what connections carry, in AsyncAPI 3. */
export function asyncApi(): Json {
  const socket = [...clientMessageList(), ...serverMessageList()];
  const stream = streamMessageList();
  return {
    asyncapi: "3.0.0",
    info: { title: "Weir", version: VERSION, description: INFO, license: { name: "MIT" } },
    defaultContentType: "application/json",
    servers: {
      websocket: server("ws", "Over TLS the protocol is wss."),
      http: server("http", "Over TLS the protocol is https."),
    },
    channels: {
      socket: {
        address: "/v1/socket",
        title: "WebSocket",
        description: "Messages in both directions. `?ticket=` can replace the first `auth`.",
        servers: [{ $ref: "#/servers/websocket" }],
        messages: messageRefs(socket),
        bindings: {
          ws: {
            method: "GET",
            query: {
              type: "object",
              properties: {
                ticket: { type: "string", description: "A ticket of `POST /v1/tickets`." },
              },
            },
          },
        },
      },
      channelStream: {
        address: "/v1/channels/{channel}/events",
        title: "Stream of one channel",
        description:
          "Server-sent events: GET with `Accept: text/event-stream`. `id:` is the cursor after an event, `event:` its type (omitted for `message`), `data:` the payload.",
        servers: [{ $ref: "#/servers/http" }],
        parameters: { channel: { description: CHANNEL.text, examples: ["orders"] } },
        messages: messageRefs(stream),
        bindings: { http: {} },
      },
      channelsStream: {
        address: "/v1/events",
        title: "Stream of several channels",
        description:
          "As the stream of one channel, with `?channel=` for each. `data:` is the event in JSON.",
        servers: [{ $ref: "#/servers/http" }],
        messages: messageRefs(stream),
        bindings: { http: {} },
      },
    },
    operations: {
      ...clientOperations(),
      sendMessages: {
        action: "send",
        channel: { $ref: "#/channels/socket" },
        summary: "What the server sends on a WebSocket.",
        messages: serverMessageList().map(({ id }) => inChannel("socket", id)),
      },
      ...Object.fromEntries(
        ["channelStream", "channelsStream"].map((channel) => [`${channel}Events`, {
          action: "send",
          channel: { $ref: `#/channels/${channel}` },
          summary: "What the server sends on a stream of server-sent events.",
          messages: stream.map(({ id }) => inChannel(channel, id)),
        }]),
      ),
    },
    components: {
      messages: Object.fromEntries(
        [...socket, ...stream].map(({ id, text, payload, example }) => [id, {
          name: id,
          summary: text,
          contentType: "application/json",
          payload,
          examples: [{ payload: example }],
        }]),
      ),
    },
  };
}

function server(protocol: string, description: string): Json {
  return {
    host: "{host}",
    protocol,
    description,
    variables: {
      host: { default: "127.0.0.1:8000", description: "Host and port of this server." },
    },
  };
}

/** Returns the messages from clients. Their ids are their `op`, with `Request` after it. */
export function clientMessageList(): readonly Message[] {
  return Object.entries(CLIENT_MESSAGES).map(([op, { text, example }]) => {
    const schema = clientMessages[op as ClientOp];
    const names = Object.keys(schema.shape);
    const members = Object.fromEntries(
      Object.entries(CLIENT_MEMBERS).filter(([name]) => names.includes(name)),
    );
    return { id: `${op}Request`, text, payload: schemaOf({ schema, members }), example };
  });
}

/** Returns the messages from the server. Their ids are their `op`. */
export function serverMessageList(): readonly Message[] {
  return Object.entries(serverMessages).map(([op, schema]) => {
    const { description = "", ...payload } = payloadOf(schema);
    const example = { op, ...SERVER_EXAMPLES[op as ServerOp] };
    return { id: op, text: String(description), payload, example };
  });
}

/** Returns the events of streams. The id of a system event is its `event:`, without the dot. */
export function streamMessageList(): readonly Message[] {
  const system = Object.entries(systemEvents).map(([event, schema]) => {
    const { description = "", ...payload } = payloadOf(schema);
    const id = event.replace(/\.(.)/, (_, letter: string) => letter.toUpperCase());
    const example = SYSTEM_EXAMPLES[event as keyof typeof systemEvents];
    return { id, text: `\`event: ${event}\`. ${description}`, payload, example };
  });
  const { description: ephemeralText, ...ephemeralPayload } = payloadOf(ephemeralEnvelope);
  return [
    {
      id: "streamEvent",
      text: "An event, with `envelope=1`. With `envelope=0` the payload is the data as published.",
      payload: payloadOf(schemas.Event),
      example: eventExample,
    },
    {
      id: "streamEphemeralEvent",
      text: String(ephemeralText),
      payload: ephemeralPayload,
      example: { ...ephemeralExample, ephemeral: true },
    },
    ...system,
  ];
}

function clientOperations(): Json {
  return Object.fromEntries(
    Object.entries(CLIENT_MESSAGES).map(([op, { text, answer }]) => [op, {
      action: "receive",
      channel: { $ref: "#/channels/socket" },
      summary: text,
      messages: [inChannel("socket", `${op}Request`)],
      ...answer !== undefined && {
        reply: {
          channel: { $ref: "#/channels/socket" },
          messages: [inChannel("socket", answer), inChannel("socket", "error")],
        },
      },
    }]),
  );
}

function messageRefs(messages: readonly Message[]): Json {
  return Object.fromEntries(
    messages.map(({ id }) => [id, { $ref: `#/components/messages/${id}` }]),
  );
}

function inChannel(channel: string, message: string): Json {
  return { $ref: `#/channels/${channel}/messages/${message}` };
}

/** Returns the JSON Schema of a payload, to which members may be added. */
function payloadOf(schema: z.ZodType): Json {
  const { $schema: _schema, "~standard": _standard, ...payload } = z.toJSONSchema(schema, {
    override: ({ jsonSchema }) => {
      delete jsonSchema.additionalProperties;
    },
  }) as Json;
  return payload;
}
