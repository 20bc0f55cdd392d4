// deno-lint-ignore-file no-console
/**
 * Measures the round trip of an ephemeral event that is published and delivered as a datagram over
 * one WebTransport connection, and in turn with it that of a datagram which the bare server echoes:
 * `deno run -A bench/datagrams.ts [rounds]`.
 */
import { type Server, startBare, startWeir } from "./process.ts";
import { quantile } from "./usage.ts";
import { openWebTransport, webTransportAddress } from "./webtransport_subscriber.ts";
import { channelName } from "./wire.ts";

const WARM_UP = 200;
/** A datagram may be lost. */
const LOST_MS = 500;
/** As when a cursor moves. */
const EVERY_MS = 5;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends datagrams, and waits for the one with the same marker. */
class Echo {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #marker = "";
  #arrived: () => void = () => {};

  constructor(readonly connection: WebTransport) {
    this.#writer = connection.datagrams.writable.getWriter();
    void this.#read();
  }

  async #read(): Promise<void> {
    for await (const payload of this.connection.datagrams.readable) {
      if (decoder.decode(payload).includes(this.#marker)) this.#arrived();
    }
  }

  /** Resolves with the milliseconds of one round trip, or undefined if it was lost. */
  async trip(format: (marker: string) => string): Promise<number | undefined> {
    const marker = this.#marker = crypto.randomUUID();
    const arrived = new Promise<void>((resolve) => this.#arrived = resolve);
    const lost = Promise.withResolvers<undefined>();
    const timer = setTimeout(lost.resolve, LOST_MS);
    const begin = performance.now();
    await this.#writer.write(encoder.encode(format(marker)));
    const ms = await Promise.race([arrived.then(() => performance.now() - begin), lost.promise]);
    clearTimeout(timer);
    return ms;
  }
}

async function connect(server: Server): Promise<WebTransport> {
  return await openWebTransport(await webTransportAddress(server.host));
}

/** Subscribes, and drains everything that comes on streams. */
async function subscribe(connection: WebTransport, channel: string): Promise<void> {
  const subscribed = Promise.withResolvers<void>();
  const drain = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) {
      if (decoder.decode(chunk).includes('"subscribed"')) subscribed.resolve();
    }
  };
  const { readable, writable } = await connection.createBidirectionalStream();
  void drain(readable);
  void (async () => {
    for await (const stream of connection.incomingUnidirectionalStreams) void drain(stream);
  })();
  const line = JSON.stringify({ op: "subscribe", ref: 1, channel });
  await writable.getWriter().write(encoder.encode(`${line}\n`));
  await subscribed.promise;
}

const rounds = Number(Deno.args[0] ?? 1_000);
const folder = await Deno.makeTempDir({ prefix: "weir-bench-" });
try {
  await using weir = await startWeir(`${folder}/weir.sqlite`);
  await using bare = await startBare("webtransport");
  const channel = channelName(0);
  const [here, there] = [await connect(weir), await connect(bare)];
  await subscribe(here, channel);
  const [event, echo] = [new Echo(here), new Echo(there)];
  const times: [number[], number[]] = [[], []];
  let lost = 0;
  for (let round = 0; round < WARM_UP + rounds; round++) {
    const trips = [
      await event.trip((data) =>
        JSON.stringify({ op: "publish", ref: round, channel, data, ephemeral: true })
      ),
      await echo.trip((marker) => marker),
    ];
    for (const [i, ms] of trips.entries()) {
      if (ms === undefined) lost++;
      else if (round >= WARM_UP) times[i]?.push(ms);
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  for (const [i, name] of ["ephemeral event", "bare echo"].entries()) {
    const [p50, p99] = [0.5, 0.99].map((p) => quantile(times[i] ?? [], p)?.toFixed(2));
    console.log(`${name}: p50 ${p50} ms, p99 ${p99} ms`);
  }
  console.log(`${lost} lost`);
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(0);
