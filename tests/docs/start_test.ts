import assert from "node:assert/strict";
import { bundleApp, serveSite, type Site } from "../support/app_site.ts";
import { assertRefused, call } from "../support/calls.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { freePort } from "../support/free_port.ts";
import { NpmProject } from "../support/npm_project.ts";
import { isMissing } from "../support/programs.ts";
import { publish } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const ROOT = new URL("../../", import.meta.url);
const NODE_MISSING = isMissing(["node", "--version"], "Node is missing: it runs the backend");
const NPM_MISSING = isMissing(["npm", "--version"], "npm is missing: it makes the package");
const CURL_MISSING = isMissing(
  ["curl", "--json", "1", "--version"],
  "curl 7.82 or later is not installed: run `apt-get install curl`",
);
const WEIR = "http://127.0.0.1:8000";
const BACKEND = "127.0.0.1:3000";
const MAX_LINES = 20;

/** A code block of docs/start.md. */
interface Block {
  /** The step, from 1. */
  readonly step: number;
  /** The file that the text before the block names. */
  readonly file: string | undefined;
  readonly code: string;
}

const blocks = readBlocks(await Deno.readTextFile(new URL("docs/start.md", ROOT)));

function readBlocks(page: string): readonly Block[] {
  return page.split(/^## (?=\d)/m).slice(1).flatMap((section) => {
    const step = Number(section[0]);
    const found = section.matchAll(/(?:`([\w.]+)`:\n\n)?^```\w+\n(.*?)^```$/gms);
    return [...found].map(([, file, code = ""]) => ({ step, file, code }));
  });
}

/** Returns the code of a file, as a step has it. */
function fileOf(step: number, file: string): string {
  return blocks.find((block) => block.step === step && block.file === file)?.code ??
    assert.fail(`step ${step} has no ${file}`);
}

/** Returns the block of a step that contains a text and belongs to no file. */
function blockWith(step: number, text: string): string {
  const found = blocks.find((block) => block.step === step && block.code.includes(text));
  return found?.code ?? assert.fail(`step ${step} has no block with ${text}`);
}

/** Returns the program after the last step's diff that contains a text. */
function patched(program: string, text: string): string {
  const diff = blockWith(4, text).trimEnd().split("\n");
  const linesOf = (sign: string) =>
    diff.filter((line) => line.startsWith(sign)).map((line) => `${line.slice(1)}\n`).join("");
  assert.ok(program.includes(linesOf("-")), linesOf("-"));
  return program.replace(linesOf("-"), linesOf("+"));
}

/** Serves a step's page: its HTML, and its script as Vite would bundle it. */
function servePage(html: string, script: () => string, onToken?: () => Promise<Response>): Site {
  const page = html.replace(
    /<script.*<\/script>/s,
    `<script type="module" src="/app.js"></script>`,
  );
  return serveSite(async ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === "/token" && onToken !== undefined) return await onToken();
    const isScript = pathname === "/app.js";
    const type = isScript ? "text/javascript" : "text/html";
    const body = isScript ? await bundleApp(script(), ROOT) : page;
    return new Response(body, { headers: { "Content-Type": type } });
  });
}

async function shows(chromium: Chromium, text: string): Promise<void> {
  await chromium.page.waitForFunction(
    `document.body.textContent.includes(${JSON.stringify(text)})`,
  );
}

async function say(chromium: Chromium, text: string): Promise<void> {
  const input = chromium.page.locator("input");
  await input.fill(text);
  await input.press("Enter");
  await chromium.page.waitForFunction(`document.querySelector("input").value === ""`);
}

async function textsOf(url: string): Promise<readonly unknown[]> {
  return (await readAll(url, "chat")).map(({ data }) => (data as { readonly text: string }).text);
}

Deno.test("each program of docs/start.md has at most 20 lines", () => {
  assert.deepEqual([...new Set(blocks.map(({ step }) => step))], [1, 2, 3, 4]);
  for (const { code } of blocks) {
    assert.ok(code.trimEnd().split("\n").length <= MAX_LINES, code);
  }
});

Deno.test("the commands of docs/start.md are those of the README and of the tasks", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const shell = blocks.map(({ code }) => code).join("");
  const used = [...shell.matchAll(/^(npx --yes deno@[\d.]+) task (\w+)/gm)];
  assert.ok(used.length >= 4);
  for (const [, deno = "", task = ""] of used) {
    assert.ok(task in tasks, task);
    assert.ok(readme.includes(deno), deno);
  }
});

Deno.test("step 1 of docs/start.md publishes with curl", { ignore: CURL_MISSING }, async () => {
  await using server = await WeirServer.start();
  const command = blockWith(1, "curl").replaceAll(WEIR, server.url);
  const { success } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  assert.ok(success);
  assert.deepEqual(await textsOf(server.url), ["hello"]);
});

Deno.test("step 2 of docs/start.md is a live page that outlives Weir", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await WeirServer.start();
  const html = fileOf(2, "index.html");
  const [, script = ""] = /<script type="module">(.*)<\/script>/s.exec(html) ?? [];
  await using site = servePage(html, () => script.replaceAll(WEIR, server.url));
  await publish(server.url, "chat", { text: "hello" });
  await using chromium = await Chromium.open();
  await chromium.page.goto(site.url);
  await shows(chromium, "hello");
  await say(chromium, "one");
  await shows(chromium, "one");
  await server.kill();
  await say(chromium, "two");
  await server.start();
  await shows(chromium, "two");
  assert.deepEqual(await textsOf(server.url), ["hello", "one", "two"]);
  await call(server.url, "/v1/channels/chat", { method: "DELETE" });
  await publish(server.url, "chat", { text: "again" });
  await shows(chromium, "(Older messages are no longer stored.)again");
});

Deno.test("step 3 of docs/start.md is the same page with React", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await WeirServer.start();
  const script = fileOf(3, "main.jsx").replaceAll(WEIR, server.url);
  await using site = servePage(fileOf(3, "index.html"), () => script);
  await publish(server.url, "chat", { text: "hello" });
  await using chromium = await Chromium.open();
  await chromium.page.goto(site.url);
  await shows(chromium, "hello");
  await say(chromium, "one");
  await shows(chromium, "helloone");
  await until("it is stored", async () => (await textsOf(server.url)).length === 2);
  assert.deepEqual(await textsOf(server.url), ["hello", "one"]);
  assert.deepEqual(chromium.errors, []);
});

Deno.test("step 4 of docs/start.md is for users whose backend signs tokens", {
  ignore: CHROMIUM_MISSING || NODE_MISSING || NPM_MISSING,
}, async () => {
  await using project = await NpmProject.make();
  await project.link("jose");
  const init = blockWith(4, "keys init").split("\n")[0] ?? "";
  assert.match(init, /task keys init$/);
  await project.run([Deno.execPath(), "run", "-A", new URL("keys.ts", ROOT).pathname, "init"]);

  const backend = fileOf(4, "backend.mjs");
  const port = freePort();
  assert.ok(backend.includes("../weir/data/keys/") && backend.includes("listen(3000"));
  await project.write(
    "backend.mjs",
    backend.replace("../weir/data/keys/", "data/keys/").replace("listen(3000", `listen(${port}`),
  );
  await using _backend = project.start(["node", "backend.mjs"]);
  assert.ok(fileOf(3, "vite.config.mjs").includes(`"/token": "http://${BACKEND}"`));
  const requestToken = () => fetch(`http://127.0.0.1:${port}/token`);
  await until("the backend listens", async () => {
    const answer = await requestToken().catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.ok === true;
  });

  const jwks = project.file("data/keys/jwks.json").pathname;
  const changed = patched(patched(fileOf(3, "main.jsx"), "{ auth }"), "item.publisher");
  let weir = "";
  const script = () => changed.replaceAll(WEIR, weir);
  await using site = servePage(fileOf(3, "index.html"), script, requestToken);
  assert.ok(blockWith(4, "WEIR_ORIGINS").includes("export WEIR_JWKS=./data/keys/jwks.json"));
  await using server = await WeirServer.start({
    env: { WEIR_JWKS: jwks, WEIR_ORIGINS: site.url },
  });
  weir = server.url;

  await using chromium = await Chromium.open();
  await chromium.page.goto(site.url);
  await say(chromium, "hello");
  await shows(chromium, "ann: hello");
  const path = "/v1/channels/chat/events";
  assertRefused(await call(weir, path), 401, "unauthenticated");
  assertRefused(await call(weir, path, { method: "POST", body: "1" }), 401, "unauthenticated");
  assert.deepEqual(chromium.errors, []);
});
