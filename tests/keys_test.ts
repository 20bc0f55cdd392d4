import assert from "node:assert/strict";
import { dirname } from "node:path";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { newChannel, post } from "./support/publishing.ts";
import { freePort } from "./support/free_port.ts";
import { WeirServer } from "./support/server.ts";
import { modeOf } from "./support/temporary_folder.ts";

const CLI = new URL("../keys.ts", import.meta.url).pathname;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for a server's data, and the commands of `deno task keys` on it. */
class Site implements AsyncDisposable {
  readonly data: string;

  private constructor(data: string) {
    this.data = data;
  }

  /** Creates a folder with keys made by `init`. */
  static async make(): Promise<Site> {
    const site = await Site.empty();
    const { code, stderr } = await site.keys(["init"]);
    assert.equal(code, 0, stderr);
    return site;
  }

  static async empty(): Promise<Site> {
    return new Site(await Deno.makeTempDir({ prefix: "weir_keys_" }));
  }

  get jwks(): string {
    return `${this.data}/keys/jwks.json`;
  }

  get signing(): string {
    return `${this.data}/keys/signing.pem`;
  }

  async keys(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", CLI, ...args],
      env: {
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
        DENO_LOG: "off",
        WEIR_DATA: this.data,
        ...env,
      },
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Runs a command that must succeed, and returns its output without the last newline. */
  async ok(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { code, stdout, stderr } = await this.keys(args, env);
    assert.equal(code, 0, stderr);
    return stdout.trimEnd();
  }

  /** Starts a server on the data, with the setting that `init` printed. */
  async server(env: Readonly<Record<string, string>> = {}): Promise<WeirServer> {
    return await WeirServer.start({
      env: { WEIR_DATA: this.data, WEIR_KV: `${this.data}/weir.db`, WEIR_JWKS: this.jwks, ...env },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.data, { recursive: true });
  }
}

async function publish({ url }: WeirServer, credential: string, channel: string): Promise<number> {
  const response = await post(url, channel, "1", {
    "Content-Type": "application/json",
    Authorization: `Bearer ${credential}`,
  });
  await response.body?.cancel();
  return response.status;
}

function idOf(key: string): string {
  return key.slice("weir_".length, "weir_".length + 12);
}

Deno.test("init creates keys and prints the settings; a server with these accepts the token", async () => {
  await using site = await Site.empty();
  const { code, stdout } = await site.keys(["init"]);
  assert.equal(code, 0);
  const setting = /^ {2}export WEIR_JWKS=(\S+)$/m.exec(stdout)?.[1] ?? "";
  const token = /^ {2}export TOKEN=(\S+)$/m.exec(stdout)?.[1] ?? "";
  assert.equal(setting, site.jwks);
  assert.match(stdout, /^ {2}curl -H "Authorization: Bearer \$TOKEN" /m);
  assert.ok(stdout.includes(`\n  WEIR_DATA=${site.data} deno task start\n`), stdout);
  assert.ok(stdout.includes(site.signing));

  await using server = await site.server({ WEIR_JWKS: setting });
  assert.equal(await publish(server, token, "hello"), 201);
  assert.equal(await publish(server, `${token}x`, "hello"), 401);
  const lines = stdout.split("\n").map((line) => line.trim());
  const more = lines.find((line) => line.startsWith("Create more tokens: "))?.split(": ")[1] ?? "";
  const typed = await new Deno.Command("/bin/sh", {
    args: ["-c", more],
    cwd: new URL("..", import.meta.url),
    env: { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` },
  }).output();
  const made = decodeJwt(new TextDecoder().decode(typed.stdout).trimEnd());
  assert.deepEqual(made["weir"], { tenant: "default", subscribe: ["room/**"] });
  const commands = lines.filter((line) => line.startsWith("curl "))
    .map((line) => line.replace("http://127.0.0.1:8000", server.url));
  assert.equal(commands.length, 2);
  for (const command of commands) {
    const { code, stdout } = await new Deno.Command("/bin/sh", {
      args: ["-c", command.replace("curl ", "curl -s ")],
      env: { TOKEN: token },
    }).output();
    assert.equal(code, 0);
    assert.match(new TextDecoder().decode(stdout), /"offset":/);
  }
});

Deno.test("init makes the private key readable by its owner only, and refuses to replace one", async () => {
  await using site = await Site.make();
  assert.equal(modeOf(site.signing), 0o600);
  assert.equal(modeOf(site.jwks), 0o644);
  const jwks = await Deno.readTextFile(site.jwks);
  assert.ok(!Object.hasOwn(JSON.parse(jwks).keys[0], "d"));
  const pem = await Deno.readTextFile(site.signing);
  assert.match(pem, /^-----BEGIN PRIVATE KEY-----\n/);

  const again = await site.keys(["init"]);
  assert.deepEqual([again.code, again.stdout], [1, ""]);
  assert.match(again.stderr, /signing\.pem already exists\. --force replaces it/);
  assert.equal(await Deno.readTextFile(site.signing), pem);
  assert.equal(await Deno.readTextFile(site.jwks), jwks);

  await Deno.remove(site.signing);
  const halfway = await site.keys(["init"]);
  assert.deepEqual([halfway.code, halfway.stdout], [1, ""]);
  assert.match(halfway.stderr, /jwks\.json already exists/);

  await Deno.writeTextFile(site.signing, pem, { mode: 0o644 });
  await site.ok(["init", "--force"]);
  assert.notEqual(await Deno.readTextFile(site.signing), pem);
  assert.notEqual(await Deno.readTextFile(site.jwks), jwks);
  assert.equal(modeOf(site.signing), 0o600);
  const files = Array.fromAsync(Deno.readDir(`${site.data}/keys`), ({ name }) => name);
  assert.deepEqual((await files).sort(), ["jwks.json", "signing.pem"]);
});

Deno.test("token prints a token with the given rights, tenant and expiry", async () => {
  await using site = await Site.make();
  const token = await site.ok([
    ...["token", "--tenant", "acme", "--sub", "ann", "--expires", "90m", "--admin"],
    ...["--publish", "a/*", "--publish", "b", "--subscribe", "**", "--manage", "a/**"],
  ], { WEIR_TOKEN_ISSUER: "https://issuer.example", WEIR_TOKEN_AUDIENCE: "weir" });
  const { jti, iat, exp, ...claims } = decodeJwt(token);
  assert.equal((exp ?? 0) - (iat ?? 0), 5_400);
  assert.match(jti ?? "", /^[0-9a-f-]{36}$/);
  const rights = { publish: ["a/*", "b"], subscribe: ["**"], manage: ["a/**"], admin: true };
  assert.deepEqual(claims, {
    sub: "ann",
    iss: "https://issuer.example",
    aud: "weir",
    weir: { tenant: "acme", ...rights },
  });
  const { keys: [jwk] } = JSON.parse(await Deno.readTextFile(site.jwks));
  assert.deepEqual(decodeProtectedHeader(token), { alg: "EdDSA", typ: "JWT", kid: jwk.kid });
  const plain = decodeJwt(await site.ok(["token", "--subscribe", "x"]));
  assert.deepEqual(plain["weir"], { tenant: "default", subscribe: ["x"] });
  assert.equal(plain.sub, undefined);
  assert.equal((plain.exp ?? 0) - (plain.iat ?? 0), 3_600);
});

Deno.test("token fails without a usable signing key", async () => {
  await using site = await Site.empty();
  const without = await site.keys(["token", "--admin"]);
  assert.equal(without.code, 1);
  assert.match(
    without.stderr,
    /There is no .*signing\.pem.*\. Create it with WEIR_DATA=\S+ deno task keys init\.\n/,
  );
  await Deno.mkdir(`${site.data}/keys`);
  const body = "MC4CAQAwBQYDK2VwBCIEIKkOHrtQyYzGDeW1uEYmTWmIZgaUlEMCEH2rULtxCUZ";
  await Deno.writeTextFile(site.signing, `-----BEGIN PRIVATE KEY-----\n${body}\n`);
  const broken = await site.keys(["token", "--admin"]);
  assert.deepEqual([broken.code, broken.stdout], [1, ""]);
  assert.match(broken.stderr, /signing\.pem is not an Ed25519 key in PKCS#8/);
  assert.ok(!broken.stderr.includes(body.slice(20, 30)));
});

/** Creates, lists, rotates and removes keys and revokes, with or without a running server. */
async function liveWithKeys(
  site: Site,
  where: readonly string[],
): Promise<{ readonly good: string; readonly ended: readonly string[] }> {
  const ok = (...args: string[]) => site.ok([...args, ...where]);
  const keys = (...args: string[]) => site.keys([...args, ...where]);

  const orders = ["--name", "orders", "--publish", "**", "--expires", "90d"];
  const key = await ok("create", "--tenant", "acme", ...orders);
  const other = await ok("create", "--tenant", "acme", "--publish", "**", "--admin");
  const third = await ok("create", "--tenant", "acme", "--publish", "**");
  for (const made of [key, other, third]) assert.match(made, /^weir_[0-9A-Za-z]{50}$/);
  const list = await ok("list", "--tenant", "acme");
  const row = list.split("\n").find((line) => line.startsWith(idOf(key))) ?? "";
  assert.match(row, /^\S+ {2}orders {2}\S+Z {2}\S+Z {2}publish:\*\*$/);
  const day = 86_400_000;
  const days = (Date.parse(row.split("  ")[3] ?? "") - Date.now()) / day;
  assert.ok(days > 89 && days <= 90, row);
  assert.match(list, new RegExp(`^${idOf(other)}  - +\\S+Z  never +publish:\\*\\* admin$`, "m"));
  for (const made of [key, other, third]) assert.ok(!list.includes(made));

  const rotated = await ok("rotate", idOf(key), "--tenant", "acme", "--grace", "0s");
  const late = await keys("rotate", idOf(key), "--tenant", "acme");
  assert.equal(late.code, 1);
  assert.match(late.stderr, /^There is no key /);
  const removed = await keys("remove", idOf(other), "--tenant", "acme");
  assert.deepEqual([removed.code, removed.stderr], [0, `Removed API key ${idOf(other)}.\n`]);
  const again = await keys("remove", idOf(other), "--tenant", "acme");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^There is no key /);
  const elsewhere = await keys("remove", idOf(rotated));
  assert.equal(elsewhere.code, 1);
  const foreign = await keys("rotate", idOf(rotated), "--tenant", "brick");
  assert.equal(foreign.code, 1);

  await ok("revoke", "--key", idOf(third), "--tenant", "acme");
  const token = await site.ok(["token", "--tenant", "acme", "--publish", "**", "--sub", "eve"]);
  await ok("revoke", "--jti", decodeJwt(token).jti ?? "", "--tenant", "acme");
  const theirs = await site.ok(["token", "--tenant", "acme", "--publish", "**", "--sub", "mal"]);
  await ok("revoke", "--sub", "mal", "--tenant", "acme");
  assert.ok((await ok("list", "--tenant", "acme")).includes(idOf(rotated)));
  assert.ok(!(await ok("list")).includes(idOf(rotated)));
  return { good: rotated, ended: [key, other, third, token, theirs] };
}

Deno.test("commands open the store if no server runs", async () => {
  await using site = await Site.make();
  const { good, ended } = await liveWithKeys(site, []);
  const named = await site.keys(["create", "--publish", "x"]);
  assert.match(named.stdout, /^weir_\w+\n$/);
  assert.ok(
    named.stderr.endsWith(`\nThe key is in the store ${site.data}/weir.db.\n`),
    named.stderr,
  );
  await using server = await site.server();
  assert.equal(await publish(server, good, newChannel()), 201);
  for (const credential of ended) assert.equal(await publish(server, credential, "x"), 401);
});

Deno.test("commands use a running server over HTTP", async () => {
  await using site = await Site.make();
  await using server = await site.server();
  const { good, ended } = await liveWithKeys(site, ["--url", server.url]);
  assert.equal(await publish(server, good, newChannel()), 201);
  for (const credential of ended) assert.equal(await publish(server, credential, "x"), 401);
});

Deno.test("revoke --all uses the server that has the store open", async () => {
  await using site = await Site.make();
  await using server = await site.server();
  const env = { WEIR_PORT: String(server.port) };
  const token = await site.ok(["token", "--publish", "**"]);
  const others = await site.ok(["token", "--publish", "**", "--tenant", "acme"]);
  assert.equal(await publish(server, token, newChannel()), 201);
  const key = await site.ok(["create", "--publish", "**"], env);
  await site.ok(["revoke", "--all"], env);
  const list = await site.ok(["list"], env);
  assert.match(list, new RegExp(`^${idOf(key)} .* publish:\\*\\* \\(revoked\\)$`, "m"));
  assert.equal(await publish(server, key, newChannel()), 401);
  assert.equal(await publish(server, token, newChannel()), 401);
  assert.equal(await publish(server, others, newChannel()), 201);
});

Deno.test("--limit sets limits of a token or a key", async () => {
  await using site = await Site.make();
  const rights = ["--publish", "**", "--limit", "publishes=0", "--limit", "bytes=1000"];
  const token = await site.ok(["token", ...rights]);
  assert.deepEqual(decodeJwt(token)["weir"], {
    tenant: "default",
    publish: ["**"],
    limits: { publishes: 0, bytes: 1_000 },
  });
  const key = await site.ok(["create", ...rights]);
  const list = await site.ok(["list"]);
  assert.match(list, new RegExp(`^${idOf(key)} .* publish:\\*\\* publishes=0 bytes=1000$`, "m"));
  await using server = await site.server();
  for (const credential of [token, key]) {
    assert.equal(await publish(server, credential, newChannel()), 429);
  }
  for (const limit of ["", "publishes", "publishes=", "publishes=-1", "events=1", "bytes=1.5"]) {
    const { code, stderr } = await site.keys(["create", "--publish", "**", `--limit=${limit}`]);
    assert.equal(code, 2, limit);
    assert.match(stderr, /^--limit is publishes, bytes/);
  }
});

Deno.test("--url and WEIR_ADMIN_TOKEN work without the server's files", async () => {
  await using site = await Site.make();
  await using away = await Site.empty();
  await using server = await site.server();
  const token = await site.ok(["token", "--tenant", "acme", "--admin"]);
  const env = { WEIR_ADMIN_TOKEN: token };
  const key = await away.ok(["create", "--publish", "**", "--url", `${server.url}/`], env);
  assert.equal(await publish(server, key, newChannel()), 201);
  const remote = await away.keys(["create", "--publish", "**", "--url", server.url], env);
  assert.match(remote.stderr, /^API key .* not shown again\.\n$/);
  const byPort = { ...env, WEIR_PORT: String(server.port) };
  assert.ok((await away.ok(["list"], byPort)).includes(idOf(key)));
  assert.ok((await site.ok(["list", "--url", server.url, "--tenant", "acme"])).includes(idOf(key)));
  assert.deepEqual(await Array.fromAsync(Deno.readDir(away.data)), []);

  const named = await away.keys(["list", "--tenant", "brick", "--url", server.url], env);
  assert.equal(named.code, 1);
  assert.match(named.stderr, /omit --tenant/);
  const user = { WEIR_ADMIN_TOKEN: await site.ok(["token", "--publish", "**"]) };
  const refused = await away.keys(["list", "--url", server.url], user);
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.equal(refused.stderr, `This credential has no "admin" right.\n`);
  const keyless = await away.keys(["list", "--url", server.url]);
  assert.equal(keyless.code, 1);
  assert.match(keyless.stderr, /signing\.pem/);
});

Deno.test("reports a server that is unreachable or is not Weir", async () => {
  await using site = await Site.make();
  const token = await site.ok(["token", "--admin"]);
  const url = `http://127.0.0.1:${freePort()}`;
  const away = await site.keys(["list", "--url", url]);
  assert.equal(away.code, 1);
  const reason = /^Cannot reach a Weir server at (\S+): [^:]*: Connection refused\.\n$/.exec(
    away.stderr,
  );
  assert.equal(reason?.[1], url, away.stderr);
  const open = { hostname: "127.0.0.1", port: 0, onListen() {} };
  await using other = Deno.serve(open, () => new Response("<html>", { status: 502 }));
  const strange = await site.keys(["list", "--url", `http://127.0.0.1:${other.addr.port}`], {
    WEIR_ADMIN_TOKEN: token,
  });
  assert.deepEqual([strange.code, strange.stdout], [1, ""]);
  assert.equal(strange.stderr, "The server answered with status 502. Is it a Weir server?\n");
  for (const url of ["http://weir.example.com", "ftp://127.0.0.1", "127.0.0.1:8000"]) {
    const { code, stderr } = await site.keys(["list", "--url", url]);
    assert.equal(code, 1);
    assert.match(stderr, /^--url /);
  }
});

Deno.test("a server in open mode refuses to manage keys and says what to do", async () => {
  await using site = await Site.make();
  await using server = await WeirServer.start({ env: { WEIR_KV: `${site.data}/weir.db` } });
  const { code, stderr } = await site.keys(["create", "--admin", "--tenant", "acme"], {
    WEIR_PORT: String(server.port),
  });
  assert.equal(code, 1);
  assert.match(stderr, /open mode/);
});

const WRONG: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [[], /^Creates, lists and revokes the keys/],
  [["tokn"], /^Commands: init, token, .*\nThere is no command "tokn"\.\n$/],
  [["make"], /There is no command "make"\.\n$/],
  [["toString"], /There is no command "toString"\.\n$/],
  [["init", "--fast"], /'--fast'/],
  [["init", "here"], /'here'/],
  [["token"], /Name a right/],
  [["token", "--publish"], /--publish/],
  [["token", "--publish", "a***"], /--publish: .* three \* in a row/],
  [["token", "--admin", "--expires", "soon"], /--expires must be a duration/],
  [["token", "--admin", "--expires", "0s"], /--expires must be a duration/],
  [["token", "--admin", "--expires", "25h"], /WEIR_TOKEN_MAX_LIFETIME/],
  [["token", "--admin", "--tenant", "a/b"], /--tenant must be/],
  [["token", "--admin", "--sub", ""], /--sub/],
  [["create", "--name", "x"], /Name a right/],
  [["create", "--admin", "--expires", "90"], /--expires must be a duration/],
  [["rotate"], /Name one key/],
  [["rotate", "a", "b"], /Name one key/],
  [["rotate", "a", "--grace", "-1s"], /--grace/],
  [["remove"], /Name one key/],
  [["revoke"], /Name exactly one: --jti/],
  [["revoke", "--jti", "a", "--all"], /Name exactly one: --jti/],
  [["list", "all"], /'all'/],
];

Deno.test("wrong arguments print the usage and change nothing", async (t) => {
  await using site = await Site.empty();
  for (const [args, says] of WRONG) {
    await t.step(["keys", ...args].join(" "), async () => {
      const { code, stdout, stderr } = await site.keys(args);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, says);
    });
  }
  assert.deepEqual(await Array.fromAsync(Deno.readDir(site.data)), []);
});

Deno.test("help prints all commands", async () => {
  await using site = await Site.empty();
  for (const args of [["--help"], ["help"], ["create", "--help"]]) {
    const { code, stdout, stderr } = await site.keys(args);
    assert.deepEqual([code, stderr], [0, ""]);
    for (const name of ["init", "token", "create", "list", "rotate", "remove", "revoke"]) {
      assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    }
  }
});

Deno.test("names an invalid setting", async () => {
  await using site = await Site.empty();
  const { code, stderr } = await site.keys(["list"], { WEIR_PORT: "many" });
  assert.deepEqual([code, stderr], [1, "WEIR_PORT must be a whole number from 0 to 65535.\n"]);
});

Deno.test("reports why a command failed", async () => {
  await using site = await Site.empty();
  const { code, stderr } = await site.keys(["init"], { WEIR_DATA: "/dev/null/data" });
  assert.equal(code, 1);
  assert.match(stderr, /^The command failed\. NotADirectory/);
});
