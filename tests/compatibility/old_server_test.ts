import assert from "node:assert/strict";
import { TRANSPORTS } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { createProducer } from "../../lib/client/server/producer.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { QUICK_RETRIES } from "../support/client_platform.ts";
import { until } from "../support/until.ts";
import {
  readFixture,
  type RecordedAnswer,
  type RecordedPoll,
  type RecordedWire,
  RELEASES,
} from "./fixture.ts";

/** Headers that belong to the connection, not to the answer. */
const CONNECTION_HEADERS = ["transfer-encoding", "content-length", "date", "connection"];

for (const release of RELEASES) {
  for (const transport of TRANSPORTS) {
    Deno.test(`the client understands what release ${release} sends over ${transport}, across a restart`, async () => {
      const { recording: { wire } } = await readFixture(release);
      await using server = new RecordedServer(wire);
      await using weir = makeClient(server.url, { transports: [transport] }, QUICK_RETRIES);
      const items: unknown[] = [];
      const ephemeral: unknown[] = [];
      weir.listen(wire.channel, {
        after: wire.after,
        onEvent: (event) => void items.push(event),
        onGap: (gap) => void items.push(gap),
        onEphemeral: (event) => void ephemeral.push(event),
        onError: (error) => assert.fail(error),
      });
      await until("all items have arrived", () => items.length >= wire.items.length);
      const expected = wire.items.map(({ event, gap }) =>
        event === undefined ? gap : decoded(event)
      );
      assert.partialDeepStrictEqual(items, expected);
      assert.equal(items.length, expected.length);
      if (transport !== "short-poll") assert.partialDeepStrictEqual(ephemeral, wire.ephemeral);
      assert.ok(server.requests > 1, "the client has come back");
    });
  }

  Deno.test(`the producer understands what release ${release} answers`, async () => {
    const { recording: { publishAnswers } } = await readFixture(release);
    for (const [name, answer] of Object.entries(publishAnswers)) {
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
        return responseOf(answer);
      });
      const producer = createProducer(`http://127.0.0.1:${server.addr.port}`);
      const event = { channel: "answers", data: 1 };
      const { events } = JSON.parse(answer.body.split("\n")[0] ?? "");
      switch (name) {
        case "stored":
        case "duplicate":
          assert.partialDeepStrictEqual(await producer.publish("answers", 1), events[0]);
          break;
        case "many":
          assert.partialDeepStrictEqual(await producer.publishMany([event, event]), events);
          break;
        case "ephemeral":
          await producer.publish("answers", 1, { ephemeral: true });
          break;
        case "lines": {
          const outcomes = await Array.fromAsync(producer.publishAll([event, event]));
          const [stored, refused] = answer.body.trim().split("\n").map((line) => JSON.parse(line));
          assert.partialDeepStrictEqual(outcomes[0], { offset: stored.offset, id: stored.id });
          assert.equal((outcomes[1] as { readonly code?: string }).code, refused.code);
          break;
        }
        default:
          await assert.rejects(producer.publish("answers", 1), { code: name });
      }
    }
  });
}

/** Returns the event as applications receive it. */
function decoded({ encoding, data, ...members }: WireEvent): unknown {
  return { ...members, data: encoding === "base64" ? Uint8Array.fromBase64(String(data)) : data };
}

/** Answers every request of a client as the released version has answered it. */
class RecordedServer implements AsyncDisposable {
  /** Requests so far. */
  requests = 0;
  readonly #wire: RecordedWire;
  readonly #served = new Set<RecordedPoll>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #http: Deno.HttpServer<Deno.NetAddr>;

  constructor(wire: RecordedWire) {
    this.#wire = wire;
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#http = Deno.serve(options, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.resolve();
    await this.#http.shutdown();
  }

  #answer(request: Request): Response | Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    this.requests++;
    if (pathname === "/v1/socket") return this.#upgrade(request);
    assert.match(pathname, /^\/v1\/(?:events|channels\/wire\/events)$/);
    const after = request.headers.get("Last-Event-ID") ?? searchParams.get("after") ?? "";
    if (request.headers.get("Accept")?.includes("text/event-stream")) return this.#stream(after);
    const { shortPoll, longPoll } = this.#wire;
    return this.#poll(searchParams.has("wait") ? longPoll : shortPoll, after);
  }

  #stream(after: string): Response {
    const recorded = this.#wire.sse.find(({ text }) =>
      text.includes(`weir.open\ndata: {"cursor":"${after}"`)
    );
    if (recorded === undefined) return assert.fail(`no stream after ${after}`);
    const hasEnded = recorded !== this.#wire.sse.at(-1);
    const body = new ReadableStream({
      start: async (controller) => {
        controller.enqueue(new TextEncoder().encode(recorded.text));
        if (!hasEnded) await this.#ended.promise;
        try {
          controller.close();
        } catch {
          // The client has left.
        }
      },
    });
    return new Response(body, { headers: headersOf(recorded.headers) });
  }

  #upgrade(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "weir.v1" });
    const [welcome = ""] = this.#wire.socket[0] ?? [];
    socket.onopen = () => socket.send(welcome);
    socket.onmessage = ({ data }) => {
      for (const line of data.split("\n")) {
        const { op, ref, after } = JSON.parse(line);
        if (op === "ping") socket.send('{"op":"pong"}');
        if (op !== "subscribe") continue;
        const frames = this.#wire.socket.find((frames) =>
          JSON.parse(frames[1] ?? "").offset === after
        );
        for (const frame of frames?.slice(1) ?? assert.fail(`no socket after ${after}`)) {
          socket.send(frame.replace('"ref":1', `"ref":${ref}`));
        }
        if (frames !== this.#wire.socket.at(-1)) socket.close(4000);
      }
    };
    return response;
  }

  /** Answers with each recorded answer once, then waits. */
  async #poll(answers: readonly RecordedPoll[], after: string): Promise<Response> {
    const next = answers.find((answer) => answer.after === after && !this.#served.has(answer));
    if (next === undefined) await this.#ended.promise;
    const answer = next ?? answers.at(-1) ?? assert.fail();
    this.#served.add(answer);
    return responseOf(answer);
  }
}

function responseOf({ status, headers, body }: RecordedAnswer): Response {
  return new Response(status === 204 ? null : body, { status, headers: headersOf(headers) });
}

function headersOf(recorded: RecordedAnswer["headers"]): Headers {
  const headers = new Headers(recorded);
  for (const name of CONNECTION_HEADERS) headers.delete(name);
  return headers;
}
