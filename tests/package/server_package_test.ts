import assert from "node:assert/strict";
import { newSigner } from "../../lib/keys_cli/signer.ts";
import { exportPKCS8 } from "jose";
import { call } from "../support/calls.ts";
import { bearer } from "../support/guarded.ts";
import { NpmProject } from "../support/npm_project.ts";
import { isMissing } from "../support/programs.ts";
import { newChannel } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { jwksOf } from "../support/tokens.ts";

const NODE_MISSING = isMissing(["node", "--version"], "Node is missing: it runs the package");
const NPM_MISSING = isMissing(["npm", "--version"], "npm is missing: it makes the package");
const BUN = Deno.env.get("BUN") ?? "bun";
const BUN_MISSING = isMissing([BUN, "--version"], "Bun is missing: it runs the package");
const ignore = NODE_MISSING || NPM_MISSING;

/** Traces a publish and its handling with spans of its own, and prints them. */
const TRACED_PROGRAM = `
import { trace } from "@opentelemetry/api";
import { connect, WeirError } from "weir-client";
import { processEvent, traced } from "weir-client/otel";
import { createProducer } from "weir-client/producer";

const [url, channel] = process.argv.slice(2);
const span = trace.wrapSpanContext({
  traceId: "a".repeat(32),
  spanId: "b".repeat(16),
  traceFlags: 1,
});
const spans = [];
trace.setGlobalTracerProvider({
  getTracer: () => ({
    startSpan(name, { links }) {
      spans.push([name, ...links.map(({ context }) => context.spanId)]);
      return span;
    },
  }),
});
const weir = traced(connect(url));
await weir.publish(channel, 1);
await traced(createProducer(url)).publish(channel, 2);
const { events } = await weir.history(channel);
for (const event of events) processEvent(event, () => {});
const refusal = await traced(createProducer(url)).publish("", 1).catch((error) => error);
await weir.close();
console.log(JSON.stringify({
  spans,
  traceparents: events.map(({ traceparent }) => traceparent),
  isSameClass: refusal instanceof WeirError,
}));
`;

const TRACED_TYPES = `
import { connect, type Weir, type WeirEvent } from "weir-client";
import { processEvent, traced } from "weir-client/otel";
import { createProducer, type Producer } from "weir-client/producer";

const weir: Weir = traced(connect("http://127.0.0.1"));
const producer: Producer = traced(createProducer("http://127.0.0.1"));
declare const event: WeirEvent<{ n: number }>;
const n: number = processEvent(event, (span) => {
  span.setAttribute("n", event.data.n);
  return event.data.n;
});
await Promise.all([weir.publish("a", n, { traceparent: event.traceparent }), producer.publish("a", n)]);
`;

/** Publishes with a token that it signs, and prints what it got. */
const PROGRAM = `
import { readFileSync } from "node:fs";
import { WeirError as ClientError } from "weir-client";
import { createProducer, mintToken, WeirError } from "weir-client/server";

const [url, channel] = process.argv.slice(2);
const key = readFileSync("signing.pem", "utf8");
const auth = () => mintToken(key, { sub: "backend", publish: [channel] });
const weir = createProducer(url, { auth });
const { offset } = await weir.publish(channel, { n: 1 }, { type: "created" });
const many = await weir.publishMany([2, 3].map((n) => ({ channel, data: { n } })));
for await (const { offset } of weir.publishAll([{ channel, data: { n: 4 } }])) {
  if (offset <= many[1].offset) throw new Error("not in order");
}
const forbidden = await weir.publish("other", 1).catch((error) => error);
const wrong = await createProducer(url, { auth: "weir_wrong" }).publish(channel, 1)
  .catch((error) => error);
console.log(JSON.stringify({
  isInOrder: offset < many[0].offset && many[0].offset < many[1].offset,
  codes: [forbidden, wrong].map((error) => error instanceof WeirError && error.code),
  isSameClass: ClientError === WeirError,
  reader: await mintToken(key, { sub: "ann", subscribe: [channel] }),
}));
`;

const TYPED = `
import {
  createProducer,
  mintToken,
  type Producer,
  type Publication,
  type Published,
  type PublishOutcome,
  WeirError,
} from "weir-client/server";
import { createProducer as createInPages, type Producer as PageProducer } from "weir-client/producer";

const weir: Producer = createProducer(new URL("https://weir.example.com"), {
  auth: "weir_…",
  timeoutMs: 5_000,
});
const events: Publication[] = [{ channel: "a", data: 1, type: "created" }];
export async function bulk(rows: AsyncIterable<Publication>): Promise<number> {
  let refused = 0;
  for await (const outcome of weir.publishAll(rows, { ids: false })) {
    if (outcome instanceof WeirError) refused++;
    else console.log(outcome.offset);
  }
  const inPages: PageProducer = createInPages("/");
  const all: PublishOutcome[] = [];
  for await (const outcome of inPages.publishAll(events)) all.push(outcome);
  return refused;
}
export async function main(key: JsonWebKey): Promise<readonly Published[]> {
  const token: string = await mintToken(key, { sub: "ann", subscribe: ["a"], limits: { bytes: 1 } });
  await weir.publish("a", { token }, { id: "x", signal: AbortSignal.timeout(1_000) });
  // @ts-expect-error -- a token needs a subject
  await mintToken("", { subscribe: ["a"] });
  // @ts-expect-error -- a batch has no ephemeral events
  await weir.publishMany([{ channel: "a", data: 1, ephemeral: true }]);
  return await weir.publishMany(events).catch((error: unknown) => {
    if (error instanceof WeirError && error.code === "forbidden") return [];
    throw error;
  });
}
`;

for (
  const [name, isIgnored, command] of [
    ["Node", false, ["node"]],
    ["Bun", BUN_MISSING, [BUN]],
    ["Deno", false, [Deno.execPath(), "run", "-A"]],
  ] as const
) {
  Deno.test(`weir-client/server signs and publishes in ${name}`, {
    ignore: ignore || isIgnored,
  }, async () => {
    const signer = await newSigner();
    await using server = await WeirServer.start({ env: { WEIR_JWKS: jwksOf(signer) } });
    await using project = await NpmProject.make();
    await project.link("jose");
    await project.write("signing.pem", await exportPKCS8(signer.privateKey));
    await project.write("main.js", PROGRAM);
    const channel = newChannel();
    const { reader, ...rest } = JSON.parse(
      await project.run([...command, "main.js", server.url, channel]),
    );
    assert.deepEqual(rest, {
      isInOrder: true,
      codes: ["forbidden", "key_invalid"],
      isSameClass: true,
    });
    const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
    const { json } = await call(server.url, path, { headers: bearer(reader) });
    assert.deepEqual(
      json.events.map(({ data, type, publisher }: Record<string, unknown>) => [
        data,
        type,
        publisher,
      ]),
      [
        [{ n: 1 }, "created", "backend"],
        [{ n: 2 }, "message", "backend"],
        [{ n: 3 }, "message", "backend"],
        [{ n: 4 }, "message", "backend"],
      ],
    );
  });
}

Deno.test("without jose only mintToken() fails, and says what to install", { ignore }, async () => {
  await using project = await NpmProject.make();
  await project.write(
    "main.js",
    `import { createProducer, mintToken } from "weir-client/server";
    createProducer("http://127.0.0.1:1");
    await mintToken("", { sub: "ann" }).catch(({ code, detail }) => console.log(code, detail));`,
  );
  const out = await project.run(["node", "main.js"]);
  assert.equal(out, "jose_missing mintToken() needs the package jose: npm install jose\n");
});

Deno.test("weir-client/server uses nothing but fetch, WebCrypto and jose", { ignore }, async () => {
  await using project = await NpmProject.make();
  const text = await Deno.readTextFile(project.client("server.js"));
  const imports = [...text.matchAll(/(?:from|import\() ?"([^"]+)"/g)].map(([, from]) => from);
  assert.deepEqual([...new Set(imports)].sort(), ["./producer.js", "./weir.js", "jose"]);
  const producer = await Deno.readTextFile(project.client("producer.js"));
  const imported = [...producer.matchAll(/(?:from|import\() ?"([^"]+)"/g)].map(([, from]) => from);
  assert.deepEqual([...new Set(imported)], ["./weir.js"]);
  assert.doesNotMatch(
    text + producer,
    /\b(?:process|Buffer|Deno|Bun|require|window|document|console)\b[.(]/,
  );
});

Deno.test("the types of weir-client/server hold in a strict project without jose", {
  ignore,
}, async () => {
  await using project = await NpmProject.make();
  await project.write("main.ts", TYPED);
  const tsc = new URL("tsc.js", import.meta.resolve("typescript")).pathname;
  const flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"];
  await project.run(["node", tsc, ...flags, "main.ts"]);
});

Deno.test("weir-client/otel traces in Node, and its peer is optional", { ignore }, async () => {
  await using server = await WeirServer.start();
  await using project = await NpmProject.make();
  const text = await Deno.readTextFile(project.client("otel.js"));
  const imports = [...text.matchAll(/(?:from|import\() ?"([^"]+)"/g)].map(([, from]) => from);
  assert.deepEqual([...new Set(imports)].sort(), ["./weir.js", "@opentelemetry/api"]);
  const manifest = JSON.parse(await Deno.readTextFile(project.client("package.json")));
  assert.equal(manifest.peerDependenciesMeta["@opentelemetry/api"].optional, true);
  await project.link("@opentelemetry/api");
  await project.write("main.js", TRACED_PROGRAM);
  const printed = JSON.parse(await project.run(["node", "main.js", server.url, newChannel()]));
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const process = ["process", "b".repeat(16)];
  assert.deepEqual(printed, {
    spans: [["publish"], ["publish"], process, process, ["publish"]],
    traceparents: [traceparent, traceparent],
    isSameClass: true,
  });
  await project.write("main.ts", TRACED_TYPES);
  const tsc = new URL("tsc.js", import.meta.resolve("typescript")).pathname;
  const flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"];
  await project.run(["node", tsc, ...flags, "main.ts"]);
});
