import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { TRANSPORTS } from "../../lib/client/api.ts";
import { INTERNAL_PROPERTIES } from "../../package/bundle.ts";
import { emitDeclarations } from "../../package/declarations.ts";
import { FRAMEWORKS } from "../../package/entries.ts";
import { minifyModule } from "../../package/minify.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { LocalServer } from "../support/local_server.ts";
import { NpmProject as Project } from "../support/npm_project.ts";
import { isMissing } from "../support/programs.ts";
import { newChannel } from "../support/publishing.ts";

/** The client's first load. */
const MAX_GZIP_BYTES = 9_216;
/** What the hooks of one framework add to the client, and what those of all frameworks share. */
const MAX_HOOKS_GZIP_BYTES = 750;
const MAX_SHARED_HOOKS_GZIP_BYTES = 1_250;

/** What `weir-client/rtc` adds to the client when it is loaded. */
const MAX_RTC_GZIP_BYTES = 8_192;

const NODE_MISSING = isMissing(["node", "--version"], "Node is missing: it runs the package");
const NPM_MISSING = isMissing(["npm", "--version"], "npm is missing: it makes the package");
const BUN = Deno.env.get("BUN") ?? "bun";
const BUN_MISSING = isMissing([BUN, "--version"], "Bun is missing: it runs the package");
const options = { ignore: NODE_MISSING || NPM_MISSING };

/** Publishes, reads what it published, and prints the transport. */
const PROGRAM = `
import { connect, WeirError } from "weir-client";

const [url, channel] = process.argv.slice(2);
const weir = connect(url);
const seen = [];
let last;
for (const n of [1, 2, 3]) await weir.publish(channel, { n });
for await (const item of weir.subscribe(channel, { after: "earliest" })) {
  seen.push(item.data.n);
  if (seen.length === 3) last = weir.publish(channel, { n: 4 });
  if (seen.length === 4) break;
}
await last;
const { transport } = weir.state.value;
await weir.close();
const refusal = await weir.publish(channel, 1).catch((error) => error);
console.log(JSON.stringify({
  seen,
  transport,
  refusal: refusal instanceof WeirError && refusal.code,
  hasWebSocket: globalThis.WebSocket !== undefined,
}));
`;

/** Uses everything that the build may break by renaming properties, over each transport. */
const MINIFIED_PROGRAM = `
import { connect, TRANSPORTS } from "weir-client/weir.min.js";

const [url, channel] = process.argv.slice(2);
const results = {};
for (const transport of TRANSPORTS) {
  const room = channel + ":" + transport;
  const saved = new Map();
  const cursors = { get: (name) => saved.get(name), set: (name, at) => void saved.set(name, at) };
  const weir = connect(url, { transports: [transport], cursors });
  const batch = await Promise.all([1, 2, 3].map((n) => weir.publish(room, { n })));
  const read = [];
  for await (const item of weir.subscribe(room, { after: "earliest", onGap: "throw" })) {
    if (read.push(item.data.n) === 3) break;
  }
  const { events } = await weir.history(room, { limit: 2 });
  const { members, enter, leave } = weir.presence(room);
  await new Promise((resolve) => {
    const stop = members.subscribe(([member]) => member?.data.color === "red" && resolve(stop()));
    enter({ color: "red" }, { member: "ann" });
  });
  await leave();
  const resumed = new Promise((resolve) =>
    weir.listen(room, { onEvent: ({ data }) => resolve(data.n), onGap: "throw" })
  );
  await weir.publish(room, { n: 4 });
  results[transport] = {
    read,
    isInOrder: batch[0].offset < batch[2].offset,
    history: events.map(({ data }) => data.n),
    resumed: await resumed,
    transport: weir.state.value.transport,
  };
  await weir.close();
}
console.log(JSON.stringify(results));
`;

/** Uses each type where an application would. */
const TYPED = `
import { connect, type Gap, webStorage, type WeirEvent } from "weir-client";
import { sharedTabs } from "weir-client/tabs";
import { getUserMedia, joinRoom, type Peer } from "weir-client/rtc";
import { z } from "zod";

const weir = connect("http://localhost", {
  tabs: sharedTabs("typed"),
  auth: async () => ({ token: "…" }),
  cursors: webStorage(localStorage),
  transports: ["sse"],
});
const schema = z.object({ total: z.coerce.number() });

export async function read(): Promise<number> {
  let sum = 0;
  for await (const item of weir.subscribe("orders", { schema })) {
    if (item.kind === "gap") {
      const gap: Gap = item;
      throw new Error(gap.reason);
    }
    const event: WeirEvent<{ total: number }> = item;
    sum += event.data.total;
  }
  for await (const event of weir.subscribe("orders", { schema, onGap: "throw" })) {
    sum += event.data.total;
  }
  const { events } = await weir.history("orders", { schema });
  for (const { data } of events) sum += data.total;
  const published = await weir.publish("orders", { total: 1 }, { type: "created" });
  return sum + published.offset.length;
}

export async function call(): Promise<void> {
  await using room = joinRoom<{ name: string }>(weir, "call:7", {
    data: { name: "Ann" },
    media: await getUserMedia({ audio: true }),
    onError: ({ code, detail }) => console.warn(code, detail),
  });
  room.peers.subscribe((peers: readonly Peer<{ name: string }>[]) => {
    for (const { data, streams } of peers) console.log(data.value.name, streams.value[0]?.stream);
  });
  room.on("message", ({ peer, data }) => peer.send(data, { reliable: false }));
}

// @ts-expect-error -- gaps are among the items
for await (const item of weir.subscribe("orders", { schema })) item.data.total;
// @ts-expect-error -- the schema says number
for await (const { data } of weir.subscribe("orders", { schema, onGap() {} })) data.total.trim();
// @ts-expect-error -- gaps must be handled
weir.listen("orders", { onEvent() {} });
`;

for (
  const [name, ignore, command] of [
    ["Node", false, ["node"]],
    ["Bun", BUN_MISSING, [BUN]],
    ["Deno", false, [Deno.execPath(), "run", "-A"]],
  ] as const
) {
  Deno.test(`the package works in a fresh npm project, in ${name}`, {
    ignore: options.ignore || ignore,
  }, async () => {
    await using project = await Project.make();
    await using server = await LocalServer.start();
    await project.write("main.js", PROGRAM);
    const out = await project.run([...command, "main.js", server.url, newChannel()]);
    const { hasWebSocket, ...result } = JSON.parse(out);
    assert.deepEqual(result, {
      seen: [1, 2, 3, 4],
      transport: hasWebSocket ? "websocket" : "sse",
      refusal: "closed",
    });
  });
}

Deno.test("the minified modules publish, read, resume and enter over each transport", {
  ignore: BUN_MISSING,
}, async () => {
  await using project = await Project.make();
  await using server = await LocalServer.start();
  await project.write("main.js", MINIFIED_PROGRAM);
  const results = JSON.parse(await project.run([BUN, "main.js", server.url, newChannel()]));
  for (const transport of TRANSPORTS) {
    assert.deepEqual(results[transport], {
      read: [1, 2, 3],
      isInOrder: true,
      history: [2, 3],
      resumed: 3, // the event at which the loop ended
      transport,
    });
  }
});

Deno.test("the package's types hold in a strict project, with a Zod schema", options, async () => {
  await using project = await Project.make();
  await project.write("main.ts", TYPED);
  await project.link("zod");
  const tsc = new URL("tsc.js", import.meta.resolve("typescript")).pathname;
  const flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"];
  await project.run(["node", tsc, ...flags, "main.ts"]);
});

Deno.test("errors of the readable modules point to their sources", options, async () => {
  await using project = await Project.make();
  await project.write(
    "main.js",
    `import { connect } from "weir-client";
     const weir = connect("http://127.0.0.1:1");
     const items = weir.subscribe("a");
     items[Symbol.asyncIterator]();
     try { items[Symbol.asyncIterator](); } catch (error) { console.log(error.stack); }
     // Of the lazy chunk.
     await weir.history("a", { limit: 1 }).catch((error) => console.log(error.cause.stack));
     await weir.close();`,
  );
  const out = await project.run(["node", "--enable-source-maps", "main.js"]);
  for (
    const [file, text] of [
      ["lib/client/reading/subscription.ts", "can be read only once"],
      ["lib/client/transports/http.ts", "await platform.fetch("],
    ] as const
  ) {
    const source = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
    const line = source.split("\n").findIndex((line) => line.includes(text)) + 1;
    assert.ok(out.includes(`${file}:${line}:`), `${file}:${line} is not in ${out}`);
  }
});

for (
  const [name, failures] of [
    ["a page without npm uses the minified file", 0],
    ["a lazy chunk that fails to load is requested again, and a publish waits for it", 2],
  ] as const
) {
  Deno.test(
    name,
    { ignore: options.ignore || CHROMIUM_MISSING },
    async () => {
      await using project = await Project.make();
      await using server = await LocalServer.start();
      const channel = newChannel();
      const page = `<!doctype html><title>Page</title><output></output><script type="module">
      import { connect } from "./weir.min.js";
      const weir = connect("${server.url}");
      weir.listen("${channel}", {
        after: "earliest",
        onGap: "throw",
        onEvent: ({ data }) => document.querySelector("output").append(data.text),
      });
      await weir.publish("${channel}", { text: "it works" });
    </script>`;
      let asked = 0;
      const handler = async ({ url }: Request) => {
        if (url.includes("/lazy_chunk-") && asked++ < failures) {
          return new Response(null, { status: 503 });
        }
        const [, name] = /\/([-\w.]+\.min\.js)$/.exec(url) ?? [];
        const type = name === undefined ? "text/html" : "text/javascript";
        const body = name === undefined ? page : await Deno.readTextFile(project.client(name));
        return new Response(body, { headers: { "Content-Type": type } });
      };
      const site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
      try {
        await using chromium = await Chromium.open();
        await chromium.page.goto(`http://127.0.0.1:${site.addr.port}/`);
        await chromium.page.locator("output", { hasText: "it works" }).waitFor();
        assert.ok(asked > failures);
      } finally {
        await site.shutdown();
      }
    },
  );
}

Deno.test(
  "a page loads at most 9 KiB gzipped before it connects, and no dependency",
  options,
  async () => {
    await using project = await Project.make();
    // The module and its static imports.
    const texts = new Map<string, string>();
    const load = async (name: string) => {
      if (texts.has(name)) return;
      const text = await Deno.readTextFile(project.client(name));
      texts.set(name, text);
      for (const [, next = ""] of text.matchAll(/(?:from|import) ?"\.\/([^"]+)"/g)) {
        await load(next);
      }
    };
    await load("weir.min.js");
    const sizes = [...texts.values()].map((text) => gzipSync(text, { level: 9 }).length);
    const size = sizes.reduce((sum, one) => sum + one);
    assert.ok(size <= MAX_GZIP_BYTES, `${size} bytes`);
    const manifest = await Deno.readTextFile(project.client("package.json"));
    assert.equal("dependencies" in JSON.parse(manifest), false);
    for await (const { name } of Deno.readDir(project.client("."))) {
      if (!name.endsWith(".js")) continue;
      const text = await Deno.readTextFile(project.client(name));
      for (const [, from] of text.matchAll(/^(?:import|} from|export .* from) .*?"(.*)"/gm)) {
        const isFramework = Object.keys(FRAMEWORKS).some((framework) => {
          return name === `${framework}.js` && from?.split("/")[0] === framework;
        });
        const isTelemetry = name === "otel.js" && from === "@opentelemetry/api"; // optional too
        assert.ok(isFramework || isTelemetry || from?.startsWith("./"), `${name} imports ${from}`);
      }
    }
  },
);

Deno.test(
  "weir-client/rtc takes at most 8 KiB gzipped, in one file next to the client's",
  options,
  async () => {
    await using project = await Project.make();
    const text = await Deno.readTextFile(project.client("rtc.min.js"));
    const imports = [...text.matchAll(/(?:from|import) ?"(\.\/[^"]+)"/g)].map(([, from]) => from);
    assert.deepEqual(imports, ["./weir.min.js"]);
    const size = gzipSync(text, { level: 9 }).length;
    assert.ok(size <= MAX_RTC_GZIP_BYTES, `${size} bytes`);
  },
);

Deno.test(
  "the hooks of a framework take at most 750 bytes and share 1,250, and it is optional",
  options,
  async () => {
    await using project = await Project.make();
    const manifest = JSON.parse(await Deno.readTextFile(project.client("package.json")));
    for (const name of Object.keys(FRAMEWORKS)) {
      const text = await Deno.readTextFile(project.client(`${name}.js`));
      const size = await gzippedSize(text);
      assert.ok(size <= MAX_HOOKS_GZIP_BYTES, `${name}: ${size} bytes`);
      for (const [, from = ""] of text.matchAll(/from ?"(\.\/[^"]+)"/g)) {
        if (from === "./weir.js") continue; // it is loaded anyway
        const size = await gzippedSize(await Deno.readTextFile(project.client(from)));
        assert.ok(size <= MAX_SHARED_HOOKS_GZIP_BYTES, `${from}: ${size} bytes`);
      }
      assert.equal(manifest.peerDependenciesMeta[name].optional, true);
      assert.match(manifest.peerDependencies[name], /^>=\d/);
    }
  },
);

Deno.test("no property that the build may rename is part of the package's types", () => {
  // The modules for backends and for frameworks are not minified.
  const files = [...emitDeclarations()].filter(([path]) =>
    !/^client\/(server|frameworks)\//.test(path)
  );
  const declarations = files.map(([, text]) => text).join("\n");
  const names = [...declarations.matchAll(/^\s+(?:readonly )?(\w+)\??[:(<]/gm)].map(([, name]) =>
    name
  );
  assert.ok(names.includes("subscribe"));
  assert.deepEqual(INTERNAL_PROPERTIES.filter((name) => names.includes(name)), []);
});

async function gzippedSize(code: string): Promise<number> {
  return gzipSync(await minifyModule(code), { level: 9 }).length;
}
