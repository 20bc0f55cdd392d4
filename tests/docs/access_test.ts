import assert from "node:assert/strict";
import { PROBLEMS } from "../../lib/shared/problem_codes.ts";
import { PatternSet } from "../../lib/auth/pattern.ts";
import { mintToken } from "../../lib/client/server/server.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bearer } from "../support/guarded.ts";
import { NpmProject } from "../support/npm_project.ts";
import { isMissing } from "../support/programs.ts";
import { post, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SseClient } from "../support/sse_client.ts";

const ROOT = new URL("../../", import.meta.url);
const EXAMPLES = new URL("examples/access/", ROOT);
const PYTHON = Deno.env.get("PYTHON") ?? "python3";

const NODE_MISSING = isMissing(["node", "--version"], "node is not installed");
const NPM_MISSING = isMissing(["npm", "--version"], "npm is missing: it makes the package");
const BUN = Deno.env.get("BUN") ?? "bun";
const BUN_MISSING = isMissing([BUN, "--version"], "Bun is missing: it runs the package");
const OPENSSL_MISSING = isMissing(
  ["openssl", "pkeyutl", "-help"],
  "openssl is not installed: install it with `apt-get install openssl`",
);
const PYTHON_MISSING = isMissing(
  [PYTHON, "-c", "import jwt, cryptography"],
  `${PYTHON} has no PyJWT: install it with \`pip install "PyJWT[crypto]"\`, or set PYTHON`,
);

Deno.test("docs/access.md contains each file of examples/access unchanged", async () => {
  const blocks = [...(await readPage()).matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, text]) => text);
  let files = 0;
  for await (const { name } of Deno.readDir(EXAMPLES)) {
    const text = await Deno.readTextFile(new URL(name, EXAMPLES));
    // This line is for the linter only.
    const shown = text.replace(/^\/\/ deno-lint-ignore-file .*\n/, "");
    assert.ok(blocks.includes(shown), `${name} is not on the page, or differs`);
    files++;
  }
  assert.equal(files, 6);
});

Deno.test("the patterns in docs/access.md match the names in the table", async () => {
  const rows = rowsOf(await readPage(), "pattern");
  assert.ok(rows.length >= 10);
  for (const [pattern = [], matching = [], others = []] of rows) {
    const set = new PatternSet(pattern);
    for (const name of matching) assert.ok(set.matches(name), `${pattern} matches ${name}`);
    for (const name of others) assert.ok(!set.matches(name), `${pattern} doesn't match ${name}`);
  }
});

Deno.test("docs/access.md says for each error code what to do", async () => {
  const [, section = ""] = /^## Errors and what to do\n(.*)/ms.exec(await readPage()) ?? [];
  const named: [code: string, status: number][] = [];
  for (const item of section.split(/^- /m).slice(1)) {
    // Each status is followed by its codes; the advice comes after a colon.
    const [heading = ""] = item.split(/:\s/);
    for (const [, status, names = ""] of heading.matchAll(/(\d{3})((?:\s+`\w+`)+)/g)) {
      for (const [, code = ""] of names.matchAll(/`(\w+)`/g)) named.push([code, Number(status)]);
    }
  }
  const codes = Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]);
  assert.ok(codes.length > 50);
  assert.deepEqual(named.toSorted(), codes.toSorted());
});

const PROGRAMS = [
  { file: "token.mjs", command: ["node"], ignore: NODE_MISSING || NPM_MISSING },
  { file: "token.mjs", command: [Deno.execPath(), "run", "-A"], ignore: NPM_MISSING },
  { file: "token.mjs", command: [BUN], ignore: BUN_MISSING || NPM_MISSING },
  { file: "python_token.py", command: [PYTHON], ignore: PYTHON_MISSING },
  { file: "shell_token.sh", command: ["sh"], ignore: OPENSSL_MISSING },
] as const;

for (const { file, command, ignore } of PROGRAMS) {
  const name = `${file}, run by ${command[0].replace(/^.*\//, "")},`;

  Deno.test(`${name} prints a token with exactly the documented rights`, { ignore }, async () => {
    await using data = await makeKeys();
    await using server = await WeirServer.start({ env: { WEIR_JWKS: data.jwks } });
    await using program = await install(file);
    const token = await run([...command, program.path, data.signingKey]);
    const headers = bearer(token);
    const json = { ...headers, "Content-Type": "application/json" };

    await using stream = await SseClient.open(readUrl(server.url, ["chat:lobby"]), headers);
    await publish(server.url, "chat:lobby", { text: "hello" }, headers);
    assert.equal((await stream.next()).data, '{"text":"hello"}');
    assert.equal(await statusOfRead(server, "orders/ann/7", headers), 200);

    assert.equal(await statusOfRead(server, "orders/bob/7", headers), 403);
    const refused = await post(server.url, "orders/ann/7", "{}", json);
    assert.equal(refused.status, 403);
    assert.equal((await refused.json()).code, "forbidden");
  });

  Deno.test(`${name} finds the key that init created`, { ignore }, async () => {
    await using data = await makeKeys();
    await using program = await install(file);
    const token = await run([...command, program.path], data.directory);
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  });
}

Deno.test("the browser snippets work on a page of another origin", {
  ignore: CHROMIUM_MISSING,
}, async (t) => {
  await using data = await makeKeys();
  await using app = servePage(() => annsToken(data));
  await using server = await WeirServer.start({
    env: { WEIR_JWKS: data.jwks, WEIR_ORIGINS: app.origin },
  });
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await page.goto(app.origin);
  const producer = bearer(await annsToken(data));
  const manager = bearer(await runKeys(data.directory, "token", "--manage", "chat:*"));

  for (const file of ["browser_ticket.js", "browser_socket.js"]) {
    await t.step(`${file} receives events and gaps, also after the server restarted`, async () => {
      const channel = `chat:${file}`;
      await page.evaluate(`open("/${file}", ${JSON.stringify([server.url, channel])})`);
      await publish(server.url, channel, "first", producer);
      await page.waitForFunction(`got.join() === "message first"`);
      await server.kill("SIGKILL");
      await server.start();
      await publish(server.url, channel, "second", { ...producer, "Weir-Type": "order" });
      await page.waitForFunction("got.length === 2");
      assert.equal(await page.evaluate("got[1]"), "order second");
      const url = `${server.url}/v1/channels/${encodeURIComponent(channel)}`;
      const deleted = await fetch(url, { method: "DELETE", headers: manager });
      assert.equal(deleted.status, 204);
      await page.waitForFunction(`gaps.join() === "recreated"`);
      await publish(server.url, channel, "third", producer);
      await page.waitForFunction(`got.join() === "message first,order second,message third"`);
    });
  }

  await t.step("browser_cookie.js opens a stream, publishes, and signs out", async () => {
    await page.evaluate(
      `import("/browser_cookie.js").then((module) => Object.assign(self, module))`,
    );
    const weir = JSON.stringify(server.url);
    await page.evaluate(`getToken().then((token) => setSessionCookie(${weir}, token))`);
    await page.evaluate(`new Promise((resolve) => {
      self.cookieStream = openStream(${weir}, "chat:cookie");
      cookieStream.onopen = resolve;
      cookieStream.onmessage = ({ data }) => self.heard = data;
    })`);
    assert.equal(await page.evaluate("document.cookie"), "");
    await page.evaluate(`publish(${weir}, "chat:cookie", "by cookie")`);
    await page.waitForFunction(`self.heard === '"by cookie"'`);
    await page.evaluate(`deleteSessionCookie(${weir})`);
    await assert.rejects(
      page.evaluate(`publish(${weir}, "chat:cookie", "late")`),
      /Authentication required/,
    );
  });
});

/** Returns a token with the rights of those that the programs print. */
async function annsToken({ signingKey }: Keys): Promise<string> {
  const subscribe = ["orders/ann/**", "chat:*"];
  const key = await Deno.readTextFile(signingKey);
  return await mintToken(key, { sub: "ann", subscribe, publish: ["chat:*"] });
}

interface Keys extends AsyncDisposable {
  readonly directory: string;
  readonly jwks: string;
  readonly signingKey: string;
}

async function readPage(): Promise<string> {
  return await Deno.readTextFile(new URL("docs/access.md", ROOT));
}

/** Returns the rows of the tables whose first column is `column`: the code spans of each cell. */
function rowsOf(page: string, column: string): readonly (readonly string[][])[] {
  const tables = page.matchAll(new RegExp(`^\\| ${column} .*\\n\\| -.*\\n((?:\\|.*\\n)+)`, "gm"));
  return [...tables].flatMap(([, rows = ""]) => rows.trimEnd().split("\n")).map((row) =>
    row.split("|").slice(1, -1).map((cell) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, it = ""]) => it)
    )
  );
}

/** Runs `deno task keys init` in a new directory. */
async function makeKeys(): Promise<Keys> {
  const directory = await Deno.makeTempDir({ prefix: "weir_access_" });
  await runKeys(directory, "init");
  return {
    directory,
    jwks: `${directory}/data/keys/jwks.json`,
    signingKey: `${directory}/data/keys/signing.pem`,
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

/** Runs `deno task keys` in a directory and returns its output. */
async function runKeys(directory: string, ...args: readonly string[]): Promise<string> {
  const program = new URL("keys.ts", ROOT).pathname;
  return await run([Deno.execPath(), "run", "-A", program, ...args], directory);
}

/** Runs a program and returns its output without the last line end. */
async function run([program = "", ...args]: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    ...cwd !== undefined && { cwd },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trimEnd();
}

/** Makes a program able to run: JavaScript needs a project with its packages. */
async function install(file: string): Promise<AsyncDisposable & { readonly path: string }> {
  const { pathname } = new URL(file, EXAMPLES);
  if (!file.endsWith(".mjs")) return { path: pathname, async [Symbol.asyncDispose]() {} };
  const project = await NpmProject.make();
  await project.link("jose");
  await project.write(file, await Deno.readTextFile(pathname));
  return {
    path: project.file(file).pathname,
    [Symbol.asyncDispose]: () => project[Symbol.asyncDispose](),
  };
}

async function statusOfRead(
  { url }: WeirServer,
  channel: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const response = await fetch(readUrl(url, [channel]), { headers });
  await response.body?.cancel();
  return response.status;
}

const PAGE = `<!doctype html><script type="module">
  self.getToken = async () => await (await fetch("/token")).text();
  self.open = async (file, [weir, channel]) => {
    self.got = [];
    self.gaps = [];
    const { openStream, openSocket } = await import(file);
    await (openStream ?? openSocket)(weir, channel, {
      getToken,
      types: ["message", "order"],
      after: "earliest",
      onEvent: ({ type, data }) => got.push(type + " " + data),
      onGap: ({ reason }) => gaps.push(reason),
    });
  };
</script>`;

interface App extends AsyncDisposable {
  readonly origin: string;
}

/** Serves an app: a page, the snippets as its modules, and a backend that issues tokens. */
function servePage(makeToken: () => Promise<string>): App {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response(PAGE, { headers: { "Content-Type": "text/html" } });
    if (pathname === "/token") return new Response(await makeToken());
    if (!/^\/browser_\w+\.js$/.test(pathname)) return new Response(null, { status: 404 });
    return new Response(await Deno.readTextFile(new URL(pathname.slice(1), EXAMPLES)), {
      headers: { "Content-Type": "text/javascript" },
    });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
