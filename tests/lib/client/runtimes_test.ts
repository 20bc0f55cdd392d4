import assert from "node:assert/strict";
import { type TransportName, TRANSPORTS } from "../../../lib/client/api.ts";
import { bundleClient } from "../../support/client_bundle.ts";
import { FaultProxy, READS } from "../../support/fault_proxy.ts";
import { LocalServer } from "../../support/local_server.ts";
import { isMissing } from "../../support/programs.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { readAll } from "../../support/readers.ts";
import { checkRandomFaults, type RemoteClient } from "../../support/random_faults.ts";
import { until } from "../../support/until.ts";

const RUNTIMES = [
  {
    name: "Node",
    program: Deno.env.get("NODE") ?? "node",
    test: "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)",
    hint: "Node 20 or later is not there: the client runs in it",
  },
  {
    name: "Bun",
    program: Deno.env.get("BUN") ?? "bun",
    test: "process.exit(process.versions.bun === undefined ? 1 : 0)",
    hint: "Bun is not there (npm install -g bun): the client runs in it",
  },
];

/** Reads until `stop` arrives on stdin, publishes the numbers it gets there, and prints events. */
const SCRIPT = `
import { createInterface } from "node:readline";
import { connect } from "./weir.js";

const [url, channel, transports] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
const weir = connect(url, { transports: JSON.parse(transports) });
weir.state.subscribe(({ status, transport }) => {
  say({ state: status === "open" ? transport : status });
});
const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  try {
    await weir.publish(channel, line);
    say({ published: line });
  } catch (error) {
    say({ error: String(error) });
  }
});
for await (const { data } of weir.subscribe(channel, { after: "earliest", onGap: "throw" })) {
  say({ data });
  if (data === "stop") break;
}
input.close();
process.stdin.unref?.();
await weir.close();
`;

interface Said {
  readonly data?: string;
  readonly state?: string;
  readonly published?: string;
  readonly error?: string;
}

/** A process that runs the script. */
class RuntimeClient implements RemoteClient {
  readonly said: Said[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #directory: string;

  private constructor(program: string, directory: string, args: readonly string[]) {
    this.#directory = directory;
    this.#process = new Deno.Command(program, {
      args: [`${directory}/script.mjs`, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    this.#reading = this.#read();
  }

  static async start(
    program: string,
    url: string,
    channel: string,
    transports: readonly TransportName[],
  ): Promise<RuntimeClient> {
    const directory = await Deno.makeTempDir({ prefix: "weir_runtime_" });
    await Deno.writeTextFile(`${directory}/weir.js`, await bundleClient());
    await Deno.writeTextFile(`${directory}/package.json`, `{"type":"module"}`);
    await Deno.writeTextFile(`${directory}/script.mjs`, SCRIPT);
    return new RuntimeClient(program, directory, [url, channel, JSON.stringify(transports)]);
  }

  get data(): readonly string[] {
    return this.said.flatMap(({ data }) => data ?? []);
  }

  async publish(...lines: readonly string[]): Promise<void> {
    await this.tell(...lines);
    const isPublished = (line: string) => this.said.some(({ published }) => published === line);
    await until(`${lines.join()} are acknowledged`, () => lines.every(isPublished));
  }

  /** Makes it publish the numbers. */
  async tell(...lines: readonly string[]): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")));
  }

  /** Returns the exit code: 0 without an uncaught error. */
  async code(): Promise<number | undefined> {
    let ended: number | undefined;
    void this.#process.status.then(({ code }) => ended = code);
    await until("the process has ended", () => ended !== undefined);
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended as expected.
    }
    await this.#process.status;
    await this.#stdin.close().catch(() => {}); // the process may have closed the pipe
    await this.#reading;
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.said.push(JSON.parse(line));
    }
  }
}

for (const { name, program, test, hint } of RUNTIMES) {
  const ignore = isMissing([program, "-e", test], hint);
  /** Node 20 has no WebSocket; later versions do. */
  const hasWebSocket = !ignore && new Deno.Command(program, {
    args: ["-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"],
  }).outputSync().success;

  for (const transport of READS) {
    if (transport === "websocket" && !hasWebSocket) continue; // nothing to test
    Deno.test(
      `in ${name}, over ${transport}: cuts and silence cause no loss or duplicates, and the process ends`,
      { ignore },
      async () => {
        await using server = await LocalServer.start({ WEIR_HEARTBEAT: "1s" });
        await using proxy = new FaultProxy(server.port);
        const channel = newChannel();
        await publish(server.url, channel, "first");
        await using client = await RuntimeClient.start(program, proxy.url, channel, [transport]);
        await until("the first is read", () => client.data.length === 1);
        let sent = 1;
        const next = async (what: string) => {
          await publish(server.url, channel, what);
          sent++;
          // A poll may be silent for two heartbeats of 15 s.
          await until(`${what} is read`, () => client.data.length === sent, 60_000);
        };
        await next("live");
        proxy.cut();
        await next("after a cut");
        proxy.next([transport], { act: "cut", way: "down", after: 150 });
        proxy.cut([transport]);
        await next("after a cut within an answer");
        proxy.hush([transport]);
        await next("after a silence");
        proxy.next(["publish"], { act: "cut", way: "down", after: 12 });
        const own = ["own 1", "own 2", "own 3"];
        await client.publish(...own);
        sent += own.length;
        await until("they are read", () => client.data.length === sent);
        // Runtimes wait for the close frame of the server, which a silent one never sends.
        proxy.cut(["websocket"]);
        await next("stop");
        assert.equal(await client.code(), 0);
        const log = await readAll(server.url, channel);
        assert.deepEqual(client.data, log.map(({ data }) => data));
        assert.deepEqual(client.said.filter(({ error }) => error !== undefined), []);
        const states = new Set(client.said.flatMap(({ state }) => state ?? []));
        assert.ok(states.has(transport), Deno.inspect(states));
        assert.ok(proxy.requests.length < 120, `${proxy.requests.length} requests`);
      },
    );
  }

  Deno.test(`in ${name} each event arrives once and in order, despite random faults`, {
    ignore,
  }, async () => {
    await checkRandomFaults((url, channel) =>
      RuntimeClient.start(program, url, channel, TRANSPORTS)
    );
  });

  Deno.test(`in ${name} the client finds a transport that works`, { ignore }, async () => {
    await using server = await LocalServer.start({ WEIR_HEARTBEAT: "1s" });
    await using proxy = new FaultProxy(server.port);
    proxy.on(["websocket"], { act: "refuse" });
    proxy.on(["sse"], { act: "buffer" });
    const channel = newChannel();
    await using client = await RuntimeClient.start(program, proxy.url, channel, TRANSPORTS);
    await publish(server.url, channel, "first");
    await until("it is read", () => client.data.length === 1);
    await until("it has settled", () => client.said.some(({ state }) => state === "long-poll"));
    await publish(server.url, channel, "stop");
    assert.equal(await client.code(), 0);
  });

  Deno.test(
    `in ${name} a missing server causes no unhandled rejection, and closing ends the process`,
    { ignore },
    async () => {
      await using proxy = new FaultProxy(0);
      await using client = await RuntimeClient.start(program, proxy.url, "a", TRANSPORTS);
      await until("it waits", () => client.said.some(({ state }) => state === "reconnecting"));
      await client.tell("waits");
      const before = proxy.requests.length;
      await until("it has tried again", () => proxy.requests.length > before);
      assert.deepEqual(client.said.filter(({ error }) => error !== undefined), []);
    },
  );
}
