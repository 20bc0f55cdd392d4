// deno-lint-ignore-file no-console
/**
 * The latency of signals: `deno run -A bench/signals.ts http://127.0.0.1:8000 http://127.0.0.1:8001`
 * sends signals at the first server, one at a time, to a session that reads its inbox at the second
 * one (by default the same), and in turn with them as many ordinary events. Prints the milliseconds
 * from the send to the arrival. The servers must be in open mode.
 */
import { quantile } from "./usage.ts";

/** An inbox takes 1,024 signals of one member in a minute. */
const COUNT = 900;
const WARM_UP = 100;
/** A candidate is about this long. */
const DATA = { candidate: "c".repeat(200) };

type Message = Readonly<Record<string, unknown>>;

/** A socket whose messages are taken by their op. */
class Client {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, (message: Message) => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      for (const line of String(data).split("\n")) {
        const message: Message = JSON.parse(line);
        if (message["op"] === "error") throw new Error(line);
        this.#waiting.get(String(message["op"]))?.(message);
      }
    };
  }

  static async open(url: string): Promise<Client> {
    const client = new Client(
      new WebSocket(`${url.replace(/^http/, "ws")}/v1/socket`, "weir.v1"),
    );
    await client.next("welcome");
    return client;
  }

  next(op: string): Promise<Message> {
    return new Promise((resolve) => this.#waiting.set(op, resolve));
  }

  /** Sends a message, and resolves with the next one of `op`. */
  ask(message: Message, op: string): Promise<Message> {
    const answer = this.next(op);
    this.#socket.send(JSON.stringify({ ref: 1, ...message }));
    return answer;
  }

  close(): void {
    this.#socket.close();
  }
}

const [at = "http://127.0.0.1:8000", reader = at] = Deno.args;
const room = `room:${crypto.randomUUID()}`;
const plain = `plain:${crypto.randomUUID()}`;
const ann = await Client.open(at);
const bob = await Client.open(reader);
await ann.ask({ op: "enter", channel: room, member: "ann", session: "a" }, "entered");
await bob.ask({ op: "enter", channel: room, member: "bob", session: "b" }, "entered");
for (const channel of [`$signals:${room}/bob/b`, plain]) {
  await bob.ask({ op: "subscribe", channel }, "subscribed");
}
const sender = { channel: room, member: "ann", session: "a" };
const messages = {
  signal: { op: "signal", ...sender, to: "bob", toSession: "b", data: DATA },
  publish: { op: "publish", channel: plain, data: DATA },
};
const latencies: Record<keyof typeof messages, number[]> = { signal: [], publish: [] };
for (let i = 0; i < WARM_UP + COUNT; i++) {
  for (const kind of ["signal", "publish"] as const) {
    const arrival = bob.next("event");
    const begin = performance.now();
    const answer = ann.ask(messages[kind], "ack");
    await arrival;
    if (i >= WARM_UP) latencies[kind].push(performance.now() - begin);
    await answer;
  }
}
for (const [kind, all] of Object.entries(latencies)) {
  const [p50, p99] = [0.5, 0.99].map((q) => quantile(all, q)?.toFixed(2));
  console.log(`${kind}: p50 ${p50} ms, p99 ${p99} ms`);
}
ann.close();
bob.close();
