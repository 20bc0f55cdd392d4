import assert from "node:assert/strict";
import { FaultProxy } from "./support/fault_proxy.ts";
import { guardedLocal } from "./support/guarded.ts";
import { LocalServer } from "./support/local_server.ts";
import { newChannel } from "./support/publishing.ts";
import { readAll } from "./support/readers.ts";
import { until } from "./support/until.ts";

const CLI = new URL("../publish.ts", import.meta.url).pathname;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `deno task publish`. */
class Publish implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--allow-read", "--allow-env", CLI, ...args],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_LOG: "off", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
  }

  async write(text: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(text));
  }

  async end(): Promise<void> {
    await this.#stdin.close();
  }

  /** Sends a signal, unless it has ended. */
  kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
    }
  }

  async said(): Promise<Said> {
    const { code, stdout, stderr } = await this.#process.output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#process.status;
    await this.#stdin.close().catch(() => {}); // the process may have closed the pipe
  }
}

async function run(
  args: readonly string[],
  input = "",
  env: Readonly<Record<string, string>> = {},
): Promise<Said> {
  await using command = new Publish(args, env);
  const writing = command.write(input).then(() => command.end());
  const said = await command.said();
  await writing.catch(() => {}); // the command may have ended before it has read all
  return said;
}

async function dataOf(url: string, channel: string): Promise<readonly unknown[]> {
  return (await readAll(url, channel)).map(({ data }) => data);
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}

Deno.test("deno task publish stores a file once, over connections that break", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  const file = await Deno.makeTempFile();
  const lines = upTo(6_000).map((data) => `${JSON.stringify({ channel, data })}\n`);
  await Deno.writeTextFile(file, lines.join(""));
  for (const after of [300, 20_000]) {
    proxy.next(["publish"], { act: "cut", way: "down", after });
    proxy.next(["publish"], { act: "cut", way: "up", after });
  }
  const { code, stdout, stderr } = await run(["--url", proxy.url, file]);
  await Deno.remove(file);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(
    stdout,
    /^Published 6,000 events \(\d+\.\d kB\) in \d+\.\d s, [\d,]+ per second\.\n/,
  );
  assert.deepEqual(await dataOf(server.url, channel), upTo(6_000));
});

Deno.test("deno task publish reports the lines that are refused, and stores the others", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const event = (data: unknown, more = {}) => JSON.stringify({ channel, data, ...more });
  const input = [
    event(1, { id: "x" }),
    "",
    "no JSON",
    event(2, { type: "weir.reserved" }),
    event(1, { id: "x" }),
    event("x".repeat(1_100_000)),
    `{"channel":${JSON.stringify(channel)},"data":12345678901234567890}`,
  ].join("\n");
  const { code, stdout, stderr } = await run(["--url", server.url], input);
  assert.equal(code, 1);
  assert.deepEqual(
    stderr.trimEnd().split("\n").map((line) => line.split(": ").slice(0, 2).join(" ")),
    ["line 3 bad_json", "line 4 bad_event_type", "line 6 event_too_large"],
  );
  assert.match(stdout, /^Published 3 events .*\n1 of them was stored before\.\nRefused: 3\.\n$/);
  const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
  const text = await (await fetch(server.url + path)).text();
  assert.ok(text.includes("12345678901234567890"), "the digits of the number are kept");
});

Deno.test("deno task publish --channel takes each line as data, and a token from WEIR_TOKEN", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ publish: ["a"] });
  const args = ["--url", weir.url, "--channel", "a", "-"];
  const { code, stdout, stderr } = await run(args, '1\n{"b":2}\nx\n', { WEIR_TOKEN: token });
  assert.deepEqual([code, stderr], [1, "line 3: bad_json: The line is not JSON.\n"]);
  assert.match(stdout, /^Published 2 events/);
  const one = await run(args, "1\n", { WEIR_TOKEN: token });
  assert.match(one.stdout, /^Published 1 event \(/);
  const refused = await run(args, "1\n2\n", { WEIR_TOKEN: `${token}x` });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^Publishing failed at line 1: token_invalid: /);
  assert.ok(!(refused.stderr + refused.stdout).includes(token));
});

Deno.test("Ctrl+C ends deno task publish after what it has read, and says how far it came", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using command = new Publish(["--url", server.url, "--channel", channel]);
  await command.write("0\n\n1\n2");
  await until("two lines are stored", async () => (await dataOf(server.url, channel)).length === 2);
  command.kill("SIGINT");
  const { code, stdout, stderr } = await command.said();
  assert.equal(code, 130);
  assert.match(stdout, /^Published 2 events/);
  assert.match(stderr, /^Stopped after line 3\. /);
  assert.deepEqual(await dataOf(server.url, channel), [0, 1]);
});

Deno.test("a second Ctrl+C ends deno task publish while the server does not answer", async () => {
  const held = Promise.withResolvers<void>();
  let requests = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async () => {
      requests++;
      await held.promise;
      return new Response();
    },
  );
  const args = ["--url", `http://127.0.0.1:${server.addr.port}`, "--channel", "a"];
  await using command = new Publish(args);
  await command.write("0\n");
  await until("it waits for an answer", () => requests === 1);
  let ended: number | undefined;
  const said = command.said().then((said) => {
    ended = said.code;
    return said;
  });
  await until("it has ended", () => {
    if (ended === undefined) command.kill("SIGINT");
    return ended !== undefined;
  });
  const { code, stdout, stderr } = await said;
  held.resolve();
  assert.equal(code, 130);
  assert.match(stdout, /^Published 0 events/);
  assert.match(stderr, /Some after it may be stored\.\n$/);
});

Deno.test("deno task publish explains wrong calls, and does not send a token over http://", async () => {
  const { code, stdout } = await run(["--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /Usage: deno task publish /);
  for (
    const [args, message] of [
      [["--channel"], /--help\./],
      [["--token", "secret"], /'--token'.*--help\./],
      [["a", "b"], /^Name one file/],
      [["--channel", ""], /^--channel must not be empty/],
    ] as const
  ) {
    const { code, stderr } = await run(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
  for (
    const [args, message] of [
      [["--url", "http://weir.example.com"], /must be https:/],
      [
        ["--url", "http://127.0.0.1:1", "/nowhere"],
        /^Cannot read \/nowhere: No such file or directory\./,
      ],
    ] as const
  ) {
    const { code, stderr } = await run(args);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});
