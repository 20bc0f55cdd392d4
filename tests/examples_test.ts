import assert from "node:assert/strict";
import { serveSite, type Site } from "./support/app_site.ts";
import { call } from "./support/calls.ts";
import { Chromium, CHROMIUM_MISSING } from "./support/chromium.ts";
import { bearer, guardedServer } from "./support/guarded.ts";
import { isMissing } from "./support/programs.ts";
import { newChannel, publish } from "./support/publishing.ts";
import { readAll } from "./support/readers.ts";
import { WeirServer } from "./support/server.ts";

const EXAMPLES = new URL("../examples/", import.meta.url);
const PYTHON = Deno.env.get("PYTHON") ?? "python3";

const PRODUCERS = [
  {
    file: "producer.sh",
    command: ["sh"],
    ignore: isMissing(
      ["curl", "--fail-with-body", "--version"],
      "curl 7.76 or later is not installed: run `apt-get install curl`",
    ),
  },
  {
    file: "producer.mjs",
    command: ["node"],
    ignore: isMissing(["node", "--version"], "node is not installed"),
  },
  {
    file: "producer.py",
    command: [PYTHON],
    ignore: isMissing([PYTHON, "--version"], `${PYTHON} is not installed`),
  },
] as const;

for (const { file, command, ignore } of PRODUCERS) {
  const test = (behaviour: string, body: () => Promise<void>) =>
    Deno.test(`${file} ${behaviour}`, { ignore }, body);

  const produce = (env: Readonly<Record<string, string>>, channel: string, data: unknown) => {
    const args = [...command.slice(1), pathOf(file), channel, JSON.stringify(data)];
    return run(command[0], args, env);
  };

  test("publishes with a token, and prints the error if it is refused", async () => {
    await using weir = await guardedServer();
    const env = { WEIR_URL: weir.url, WEIR_TOKEN: await weir.token() };
    const done = await produce(env, "orders", { id: 7, "ü": "'\"" });
    assert.equal(done.code, 0, done.stderr);
    const page = await call(weir.url, "/v1/channels/orders/events", {
      headers: bearer(env.WEIR_TOKEN),
    });
    const [event] = page.json.events;
    assert.deepEqual(event.data, { id: 7, "ü": "'\"" });
    const { channel, offset, id } = event;
    assert.deepEqual(JSON.parse(done.stdout), { channel, offset, id });
    const token = await weir.token({ publish: [] });
    const refused = await produce({ WEIR_URL: weir.url, WEIR_TOKEN: token }, "orders", 1);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stdout + refused.stderr, /"code":"forbidden"/);
  });

  test("retries after Retry-After, and stores one event", async () => {
    await using server = await WeirServer.start();
    await using gate = openGate(server.url);
    const done = await produce({ WEIR_URL: gate.url }, "orders", "once");
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual((await readAll(server.url, "orders")).map(({ data }) => data), ["once"]);
    const [first = 0, second = 0, third = 0, ...others] = gate.times;
    assert.ok(second - first >= 1_000 && third - second >= 1_000, gate.times.join());
    assert.equal(others.length, 0);
    assert.equal(JSON.parse(done.stdout).duplicate, true);
  });

  test("retries until the server is back", async () => {
    await using server = await WeirServer.start();
    await server.kill();
    const producing = produce({ WEIR_URL: server.url }, "orders", "late");
    await server.start();
    const done = await producing;
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual((await readAll(server.url, "orders")).map(({ data }) => data), ["late"]);
  });
}

Deno.test("eventsource.html shows a channel and its gaps, and reconnects", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await WeirServer.start();
  await using site = serve(EXAMPLES);
  await using chromium = await Chromium.open();
  const { page } = chromium;
  const channel = newChannel();
  const query = new URLSearchParams({ weir: server.url, channel });
  await page.goto(`${site.url}/eventsource.html?${query}`);
  const shows = (what: string, text: string) =>
    page.waitForFunction(
      `document.querySelector("${what}")?.textContent === ${JSON.stringify(text)}`,
    );
  await shows("h1", channel);
  await shows("#state", "open");
  await publish(server.url, channel, "<b>first</b>");
  await shows("#events li:last-child", `"<b>first</b>"`);
  await server.kill();
  await shows("#state", "reconnecting");
  await server.start();
  await publish(server.url, channel, "second");
  await shows("#events li:last-child", `"second"`);
  await call(server.url, `/v1/channels/${encodeURIComponent(channel)}`, { method: "DELETE" });
  await publish(server.url, channel, "third");
  await shows("#events li:last-child", `"third"`);
  await shows("#events li:nth-child(3)", "some events are no longer available: recreated");

  await page.goto(`${new URL("eventsource.html", EXAMPLES)}?${query}`);
  await shows("#state", "refused");
});

/** A proxy that refuses the first publish, hides the answer to the second and passes on others. */
function openGate(target: string): AsyncDisposable & {
  readonly url: string;
  readonly times: readonly number[];
} {
  const times: number[] = [];
  const retryAfter = { "Retry-After": "1" };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    times.push(performance.now());
    const { pathname } = new URL(request.url);
    const { method } = request;
    const headers = new Headers(request.headers);
    headers.delete("host");
    const body = await request.bytes();
    if (times.length === 1) {
      return Response.json({ code: "rate_limited" }, { status: 429, headers: retryAfter });
    }
    const answer = await fetch(target + pathname, { method, headers, body });
    if (times.length > 2) return answer;
    await answer.body?.cancel();
    return Response.json({ code: "commit_unknown" }, { status: 503, headers: retryAfter });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    times,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Serves the pages of a folder, like `python3 -m http.server`. */
function serve(folder: URL): Site {
  return serveSite(async ({ url }) => {
    const { pathname } = new URL(url);
    if (!pathname.endsWith(".html")) return new Response(null, { status: 404 });
    const page = await Deno.readFile(new URL(`.${pathname}`, folder));
    return new Response(page, { headers: { "Content-Type": "text/html" } });
  });
}

interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Done> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env })
    .output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

function pathOf(file: string): string {
  return decodeURIComponent(new URL(file, EXAMPLES).pathname);
}
