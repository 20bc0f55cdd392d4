import assert from "node:assert/strict";
import { post } from "../support/publishing.ts";
import { PACKAGE_MISSING, ServerInstallation } from "../support/weir_server_package.ts";
import { until } from "../support/until.ts";
import { VERSION } from "../../lib/version.ts";

const BIN = "node_modules/.bin/weir-server";
/** A free port, so that tests can run next to each other. */
const ANY_PORT = ["--port", "0"];
const options = { ignore: PACKAGE_MISSING };

let installing: Promise<ServerInstallation> | undefined;

/** Returns the folder that the tests of this file share. */
function installation(): Promise<ServerInstallation> {
  return installing ??= ServerInstallation.make();
}

Deno.test.afterAll(async () => {
  await (await installing)?.[Symbol.asyncDispose]();
});

Deno.test(
  "npx weir-server in an empty folder serves, and stops with npx",
  options,
  async () => {
    const site = await installation();
    await using server = site.start("npx", ["weir-server", ...ANY_PORT]);
    const url = await server.url();
    const [first] = server.stdout.split("\n");
    assert.equal(first, `Weir ${VERSION}. Events are stored in ${site.path("data/weir.db")}.`);

    const page = await (await fetch(url, { headers: { Accept: "text/html" } })).text();
    const scripts = [...page.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css))"/g)].map(([, p]) => p);
    assert.ok(scripts.length >= 2, page);
    for (const path of [...scripts, "/docs/start.md"]) {
      const response = await fetch(`${url}${path}`, { headers: { Accept: "text/html,*/*" } });
      assert.equal(response.status, 200, path);
      await response.body?.cancel();
    }

    const stream = await fetch(`${url}/v1/channels/a/events`, {
      headers: { Accept: "text/event-stream" },
    });
    const published = await post(url, "a", "1");
    assert.equal(published.status, 201);
    await published.body?.cancel();
    // A server that stops breaks its streams off.
    const received = stream.text().catch((cause) => String(cause));
    await until("the server has sent the event", async () => {
      const { events } = await (await fetch(`${url}/v1/channels/a/events`)).json();
      return events.length === 1;
    });
    server.kill("SIGTERM");
    await received;
    await server.exitCode();
    assert.match(server.stderr, /"message":"stopping.*"signal":"SIGTERM"/);
    assert.match(server.stderr, /"message":"stopped"/);
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`weir-server passes ${signal} on, and exits as the server does`, options, async () => {
    const site = await installation();
    await using server = site.start(BIN, ["--data", site.path(signal), ...ANY_PORT]);
    await server.url();
    server.kill(signal);
    assert.equal(await server.exitCode(), 0);
    assert.equal([...server.stderr.matchAll(/"message":"stopping/g)].length, 1);
    assert.match(server.stderr, new RegExp(`"signal":"${signal}"`));
  });
}

Deno.test("Ctrl+C on the terminal of npx weir-server stops it in order", options, async () => {
  const site = await installation();
  const data = site.path("terminal");
  const log = site.path("terminal.log");
  // The shell outlives npx, like the one of a person: when it ends, the terminal hangs up.
  const command = `trap : INT; WEIR_DRAIN=2s npx weir-server --data ${data} --port 0 2>${log}; cat`;
  await using server = site.start("script", ["-qec", command, "/dev/null"]);
  await server.url();
  assert.match(server.stdout, /Press Ctrl\+C to stop\./);
  await server.type("\x03");
  const said = () => Deno.readTextFile(log);
  await until(
    "it has stopped",
    async () => /"message":"stop(?:ped|ping failed)/.test(await said()),
  );
  assert.match(await said(), /"message":"stopping[^]*"message":"stopped"/);
  assert.doesNotMatch(await said(), /stopped at once/);
});

Deno.test(
  "weir-server gives Deno permissions by name, and no other code",
  options,
  async () => {
    const site = await installation();
    const data = site.path("permissions");
    await using server = site.start(BIN, ["--data", data, ...ANY_PORT]);
    await server.url();
    const children = await Deno.readTextFile(`/proc/${server.pid}/task/${server.pid}/children`);
    const command = await Deno.readTextFile(`/proc/${children.trim()}/cmdline`);
    const args = command.split("\0");
    assert.equal(args[0], await Deno.realPath(site.path("node_modules/deno/deno")));
    const dist = await Deno.realPath(site.path("node_modules/weir-server/dist"));
    const flags = args.slice(1, args.findIndex((arg) => arg.endsWith("/main.js")));
    assert.deepEqual(flags.filter((flag) => !flag.startsWith("--unstable-")), [
      "run",
      "--no-config",
      "--no-lock",
      "--no-npm",
      "--no-prompt",
      "--no-remote",
      "--ignore-env",
      "--allow-env=WEIR_*,OTEL_DENO,DENO_USE_WRITEV",
      "--allow-net=127.0.0.1",
      `--allow-read=${dist}/,${data}`,
      `--allow-write=${data}`,
    ]);
  },
);

Deno.test(
  "weir-server has commands, which name it in their messages",
  options,
  async () => {
    const site = await installation();
    const data = site.path("keys_data");
    const made = await site.run("npx", [
      ...["weir-server", "--data", data, "--port", "9000", "keys", "init"],
    ]);
    assert.equal(made.code, 0, made.stderr);
    const start = `${data}/keys/jwks.json\n  npx weir-server --data ${data} --port 9000\n`;
    assert.ok(made.stdout.includes(`  export WEIR_JWKS=${start}`), made.stdout);
    const more = /^Create more tokens: (npx weir-server --data .*)$/m.exec(made.stdout)?.[1];
    const token = await site.run("/bin/sh", ["-c", more ?? assert.fail(made.stdout)]);
    assert.match(token.stdout, /^ey\S+\n$/, token.stderr);
    assert.ok((await Deno.stat(`${data}/keys/signing.pem`)).isFile);
    const key = await site.run(BIN, ["--data", data, "keys", "create", "--publish", "a"]);
    assert.match(key.stdout, /^weir_\w+\n$/);
    for (
      const [args, code, said] of [
        [["--help"], 0, /Usage: npx weir-server/],
        [["--version"], 0, new RegExp(`^${RegExp.escape(VERSION)}\n$`)],
        [["keys", "--help"], 0, /Usage: npx weir-server keys COMMAND/],
        [["publish", "--help"], 0, /Usage: npx weir-server publish/],
        [["backup", "--help"], 0, /Usage: npx weir-server backup FILE/],
        [["--data", data, "backup", site.path("backup.db")], 0, /^Backed up the store/],
        [["publish", "--wrong"], 2, /See npx weir-server publish --help\./],
        [["--wrong"], 2, /See npx weir-server --help\./],
        [["--port", "x"], 1, /WEIR_PORT must be a whole number/],
        [["--host", "0.0.0.0"], 1, /npx weir-server keys init/],
      ] as const
    ) {
      const ran = await site.run(BIN, args);
      assert.match(ran.stdout + ran.stderr, said);
      assert.equal(ran.code, code, args.join(" "));
    }
  },
);

Deno.test("weir-server exports channels and imports them", options, async () => {
  const site = await installation();
  const file = site.path("channels.ndjson");
  await using server = site.start(BIN, ["--data", site.path("exported"), ...ANY_PORT]);
  const url = await server.url();
  const published = await post(url, "a", "1");
  assert.equal(published.status, 201);
  await published.body?.cancel();
  const exported = await site.run(BIN, ["export", "--url", url, file]);
  assert.equal(exported.code, 0, exported.stderr);
  const imported = await site.run(BIN, ["--data", site.path("imported"), "import", file]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stdout + imported.stderr, /1 event/);
});

Deno.test("the package has the licenses of everything in it", options, async () => {
  const site = await installation();
  const path = site.path("node_modules/weir-server/THIRD_PARTY_LICENSES");
  const text = await Deno.readTextFile(path);
  for (const name of ["hono", "jose", "preact", "preact-render-to-string", "uplot", "zod"]) {
    assert.match(text, new RegExp(`^${name} \\d+\\.`, "m"));
  }
});
