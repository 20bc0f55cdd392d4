import assert from "node:assert/strict";
import type { Hono } from "hono";
import { parseConfig } from "../../lib/config.ts";
import { createLogger } from "../../lib/logger.ts";
import { openServer } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import type { AppEnv } from "../../routes/context.ts";
import { bearer, settings } from "../support/guarded.ts";
import { makeSigner } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const HOST = { Host: "localhost" };

const PATHS = ["/", "/chat", "/dashboard", "/lab"];

Deno.test("the console is rendered with a channel's newest events and a cursor", async () => {
  await using weir = await openApp();
  for (let i = 1; i <= 60; i++) await weir.publish("demo", String(i));
  const response = await weir.get("/");
  const text = await response.text();
  assert.equal(response.status, 200);
  assert.deepEqual(dataOf(text), Array.from({ length: 50 }, (_, i) => String(11 + i)));
  assert.match(text, /<code>[0-9a-z]{9}_…60<\/code>/);
});

Deno.test("the console shows the channel of the URL, or the one with the newest event", async () => {
  await using weir = await openApp();
  const titleOf = async (path: string) =>
    /<h2 id="channel-title"[^>]*>([^<]*)</.exec(await (await weir.get(path)).text())?.[1];
  assert.equal(await titleOf("/"), "demo");
  await weir.publish("b", "1");
  await until("the clock has moved on", async () => {
    await weir.publish("a", "1");
    return await titleOf("/") === "a";
  });
  assert.equal(await titleOf("/?channel=b"), "b");
  assert.equal(await titleOf("/?channel=new"), "new");
});

Deno.test("every page has a title and links to the others", async () => {
  await using weir = await openApp();
  for (const path of PATHS) {
    const text = await (await weir.get(path)).text();
    const nav = /<nav aria-label="Pages">(.*?)<\/nav>/.exec(text)?.[1] ?? "";
    const links = [...nav.matchAll(/<a href="([^"]*)"( aria-current="page")?>/g)];
    assert.deepEqual(links.map(([, href]) => href), PATHS);
    assert.deepEqual(
      links.filter(([, , current]) => current !== undefined).map(([, href]) => href),
      [path],
    );
    assert.match(text, /<title>[^<]+ · Weir<\/title>/);
    assert.match(text, /<div id="island" data-props=/);
  }
});

Deno.test("a page that isn't served is an unknown route and isn't in the navigation", async () => {
  for (
    const [env, served] of [
      [{ WEIR_PAGES: "console,lab" }, ["/", "/lab"]],
      [{ WEIR_PAGES: "chat" }, ["/chat"]],
      [{ WEIR_PAGES: "none" }, []],
      [{ WEIR_ANONYMOUS: "subscribe:** publish:**" }, ["/", "/dashboard"]],
    ] as const
  ) {
    await using weir = await openApp(env);
    const unknown = (await weir.get("/unknown")).headers;
    for (const path of PATHS) {
      const response = await weir.get(path);
      const text = await response.text();
      if (served.some((each) => each === path)) {
        const [, header = ""] = /<header[^>]*>(.*?)<\/header>/s.exec(text) ?? [];
        const links = [...header.matchAll(/<a [^>]*href="([^"]*)"/g)].map(([, href]) => href);
        assert.deepEqual(links, [served[0], ...served], path); // the first is the logo
      } else {
        assert.equal(response.status, 404, path);
        assert.deepEqual([...response.headers], [...unknown], path);
        assert.deepEqual(JSON.parse(text).code, "not_found");
      }
    }
  }
});

Deno.test("a page loads only its own files", async () => {
  await using weir = await openApp();
  const scripts = { "/": "console", "/chat": "chat", "/dashboard": "dashboard", "/lab": "lab" };
  for (const [page, script] of Object.entries(scripts)) {
    const text = await (await weir.get(page)).text();
    const paths = [...text.matchAll(/(?:src|href)="(\/assets[^"]*)"/g)].map(([, path = ""]) =>
      path
    );
    assert.deepEqual(
      [...new Set(paths)].sort(),
      [
        `/assets/${script}.js`,
        "/assets/icon.svg",
        "/assets/base.css",
        `/assets/${script}.css`,
      ].sort(),
    );
    assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//);
    for (const path of paths) {
      const asset = await weir.get(path);
      assert.equal(asset.status, 200, path);
      await asset.body?.cancel();
    }
  }
});

Deno.test("a page runs only scripts with its fresh nonce", async () => {
  await using weir = await openGuardedApp({ WEIR_ANONYMOUS: "subscribe:open" });
  const nonces = new Set<string>();
  const token = await weir.token();
  const views = [
    ["/?channel=closed", 200, ""],
    ["/?channel=closed", 200, token],
    ...PATHS.flatMap((path) => [
      [path, undefined, ""] as const, // as the page sees it
      [path, undefined, token] as const,
      [`${path}?unknown=1`, 400, ""] as const,
      [path, 401, "broken"] as const,
    ]),
  ] as const;
  for (const [path, status, token] of views) {
    const response = await weir.get(path, token === "" ? {} : cookie(token));
    const text = await response.text();
    assert.equal(response.status, status ?? response.status, path);
    const { headers } = response;
    const [, nonce = ""] = /'nonce-([^']*)'/.exec(headers.get("content-security-policy") ?? "") ??
      [];
    nonces.add(nonce);
    assert.equal(Uint8Array.fromBase64(nonce).length, 16);
    assert.equal(
      headers.get("content-security-policy"),
      `default-src 'none'; script-src 'nonce-${nonce}' 'strict-dynamic'; style-src 'nonce-${nonce}'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`,
    );
    const loads = text.match(/<(?:script|link rel="stylesheet")[^>]*>/g) ?? [];
    assert.equal(loads.length, 3, path);
    for (const tag of loads) assert.ok(tag.includes(` nonce="${nonce}"`), tag);
    assert.doesNotMatch(text, /<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)|javascript:/i);
  }
  assert.equal(nonces.size, views.length);
});

Deno.test("pages can't be framed, cached, sniffed or leaked by referrers", async () => {
  await using weir = await openGuardedApp();
  const visitors = [{}, cookie("broken"), cookie(await weir.token())];
  for (
    const [path, headers] of PATHS.flatMap((path) => visitors.map((by) => [path, by] as const))
  ) {
    const response = await weir.get(path, headers);
    await response.body?.cancel();
    const expected = {
      "cache-control": "no-store",
      "content-type": "text/html; charset=utf-8",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "permissions-policy":
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
      "referrer-policy": "no-referrer",
      "strict-transport-security": null,
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    };
    for (const [name, value] of Object.entries(expected)) {
      assert.equal(response.headers.get(name), value, name);
    }
  }
});

Deno.test("under an HTTPS URL pages send Strict-Transport-Security", async () => {
  await using weir = await openGuardedApp({ WEIR_PUBLIC_URL: "https://weir.example" });
  const response = await weir.get("/", { Host: "weir.example" });
  await response.body?.cancel();
  assert.match(response.headers.get("strict-transport-security") ?? "", /^max-age=\d{8,}/);
});

Deno.test("a visitor without a credential sees only the sign-in form", async () => {
  await using weir = await openGuardedApp();
  await weir.publish("demo", `"secret"`);
  for (const path of PATHS) {
    const response = await weir.get(path);
    const text = await response.text();
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    assert.match(text, /<input type="password" autocomplete="off"/);
    assert.doesNotMatch(text, /secret|<input[^>]* name=|role="alert"|Sign out|id="island"/);
  }
});

Deno.test("an invalid session cookie is explained and can be removed", async () => {
  await using weir = await openGuardedApp();
  await weir.publish("demo", `"secret"`);
  const past = Math.floor(Date.now() / 1_000) - 100;
  const expired = await weir.token(ALL, { iat: past, exp: past + 50 });
  const foreign = await (await makeSigner("EdDSA")).sign({ weir: ALL });
  for (const token of [expired, foreign, "broken"]) {
    for (const path of PATHS) {
      const response = await weir.get(path, cookie(token));
      const text = await response.text();
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("www-authenticate"), `Bearer error="invalid_token"`);
      assert.match(text, /role="alert">[^<]{10,}</);
      assert.match(text, /type="password"/);
      assert.match(text, />Sign out</);
      assert.ok(!text.includes(token) && !text.includes("secret"));
    }
  }
});

Deno.test("a token in the page's URL is refused and not echoed", async () => {
  await using weir = await openGuardedApp();
  const token = await weir.token();
  for (const path of PATHS) {
    const response = await weir.get(`${path}?token=${token}`);
    const text = await response.text();
    assert.equal(response.status, 400);
    assert.match(text, /no place in a URL/);
    assert.ok(!text.includes(token));
  }
});

Deno.test("a signed-in page shows the subject and its rights", async () => {
  await using weir = await openGuardedApp();
  await weir.publish("news", `"hello"`);
  const both = await weir.page("/?channel=news", await weir.token());
  assert.deepEqual(dataOf(both.text), ["hello"]);
  assert.match(both.text, /Signed in as <strong>ann<\/strong>/);
  assert.match(both.text, /<form class="publish stack"/);
  const reader = await weir.page("/?channel=news", await weir.token({ subscribe: ["news"] }));
  assert.deepEqual(dataOf(reader.text), ["hello"]);
  assert.doesNotMatch(reader.text, /<form class="publish stack"/);
});

Deno.test("without the right to read a channel the page has none of its events", async () => {
  await using weir = await openGuardedApp();
  await weir.publish("taken", `"secret"`);
  const token = await weir.token({ publish: ["**"], subscribe: ["mine/*"] });
  const texts = [];
  for (const name of ["taken", "vacant"]) {
    const { status, text } = await weir.page(`/?channel=${name}`, token);
    assert.equal(status, 200);
    assert.match(text, /You don(?:'|&#39;)t have permission to read/);
    assert.match(text, /Signed in as/);
    assert.doesNotMatch(text, /secret|role="listbox"/);
    texts.push(
      text.replaceAll(name, "").replaceAll(/nonce="[^"]*"|&quot;expiresIn&quot;:\d+/g, ""),
    );
  }
  assert.equal(texts[0], texts[1]); // whether there is such a channel stays unsaid
});

Deno.test("a page shows only channels of the token's tenant", async () => {
  await using weir = await openGuardedApp();
  const rights = (tenant: string) => ({ ...ALL, tenant });
  const [a, b] = [await weir.token(rights("a")), await weir.token(rights("b"))];
  await weir.publish("same", `"of a"`, a);
  await weir.publish("same", `"of b"`, b);
  await weir.publish("same", `"of default"`);
  assert.deepEqual(dataOf((await weir.page("/?channel=same", a)).text), ["of a"]);
  assert.deepEqual(dataOf((await weir.page("/?channel=same", b)).text), ["of b"]);
});

Deno.test("a visitor with the right can read security events in the console", async () => {
  await using weir = await openGuardedApp();
  const refused = await weir.page("/?channel=$audit", await weir.token());
  assert.match(refused.text, /You don(?:'|&#39;)t have permission to read/);
  const auditor = await weir.token({ publish: ["$**"], subscribe: ["$audit"] });
  await until("the refusal is recorded", async () => {
    const { status, text } = await weir.page("/?channel=$audit", auditor);
    assert.equal(status, 200);
    assert.doesNotMatch(text, /<form class="publish stack"/);
    return dataOf(text).some((data) => data.includes("$audit") && data.includes("ann"));
  });
});

Deno.test("anonymous visitors see what they may and can sign in", async () => {
  await using weir = await openGuardedApp({ WEIR_ANONYMOUS: "subscribe:public/**" });
  await weir.publish("public/a", `"for all"`);
  await weir.publish("private", `"secret"`);
  const open = await weir.page("/?channel=public/a");
  assert.equal(open.status, 200);
  assert.deepEqual(dataOf(open.text), ["for all"]);
  assert.match(open.text, /<summary>Sign in<\/summary>/);
  const closed = await weir.page("/?channel=private");
  assert.match(closed.text, /You don(?:'|&#39;)t have permission to read/);
  assert.doesNotMatch(closed.text, /secret|Sign out/);
});

Deno.test("in open mode there is no sign-in", async () => {
  await using weir = await openApp();
  for (const path of PATHS) {
    const response = await weir.get(path, cookie("anything"));
    assert.equal(response.status, 200);
    assert.doesNotMatch(await response.text(), /Sign in|Sign out|Signed in/);
  }
});

Deno.test("published data can't become markup of the page", async () => {
  await using weir = await openApp();
  const evil = `"</code></div><script>alert(1)</script>' onload='x`;
  await weir.publish("demo", JSON.stringify(evil));
  const text = await (await weir.get("/")).text();
  assert.equal(text.split("<script").length, 2); // the page's own
  assert.doesNotMatch(text, /<\/code><\/div><script/);
  const wrong = await weir.get(`/?channel=${encodeURIComponent(`"><script>\n</script>`)}`);
  assert.equal(wrong.status, 400);
  assert.doesNotMatch(await wrong.text(), /"><script>/);
});

Deno.test("a page explains an invalid query", async () => {
  await using weir = await openApp();
  for (
    const [path, says] of [
      ["/?channel=$x", "are reserved"],
      [`/?channel=${"x".repeat(300)}`, "it is too long"],
      ["/?chanel=demo", "Unknown query parameter &quot;chanel&quot;"],
    ] as const
  ) {
    const response = await weir.get(path);
    assert.equal(response.status, 400, path);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.match(await response.text(), new RegExp(says));
  }
});

Deno.test("assets have their content type and are revalidated by their ETag", async () => {
  await using weir = await openApp();
  const types = {
    "console.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "base.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
  };
  for (const [name, type] of Object.entries(types)) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    const etag = response.headers.get("etag") ?? "";
    const again = await weir.get(`/assets/${name}`, { "If-None-Match": `"x", ${etag}` });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get("etag"), etag);
  }
});

Deno.test("only known assets are served", async () => {
  await using weir = await openApp();
  for (
    const name of [
      "deno.json",
      "..%2fdeno.json",
      "..%5cdeno.json",
      "%2e%2e%2fmain.ts",
      "console.js%00",
    ]
  ) {
    const response = await weir.get(`/assets/${name}`);
    await response.body?.cancel();
    assert.equal(response.status, 404, name);
  }
});

/** Rights to all but the system's channels. */
const ALL = { publish: ["**"], subscribe: ["**"] };

interface TestApp extends AsyncDisposable {
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  publish(channel: string, json: string, token?: string): Promise<void>;
}

interface GuardedApp extends TestApp {
  token(weir?: Readonly<Record<string, unknown>>, claims?: object): Promise<string>;
  /** `path` by a session of this token. */
  page(path: string, token?: string): Promise<{ readonly status: number; readonly text: string }>;
}

/** With keys; `publish` does so with all rights. */
async function openGuardedApp(env: Readonly<Record<string, string>> = {}): Promise<GuardedApp> {
  const signer = await makeSigner("EdDSA");
  const app = await openApp(settings(signer, env));
  const token: GuardedApp["token"] = (weir = ALL, claims = {}) =>
    signer.sign({ sub: "ann", weir, ...claims });
  return {
    ...app,
    token,
    async publish(channel, json, as) {
      await app.publish(channel, json, as ?? await token());
    },
    async page(path, as) {
      const response = await app.get(path, as === undefined ? {} : cookie(as));
      return { status: response.status, text: await response.text() };
    },
  };
}

function cookie(token: string): Readonly<Record<string, string>> {
  return { Cookie: `weir=${token}` };
}

async function openApp(env: Readonly<Record<string, string>> = {}): Promise<TestApp> {
  const logger = createLogger({ isPretty: false, write() {} });
  const server = await openServer(parseConfig({ WEIR_KV: ":memory:", ...env }), logger);
  const app: Hono<AppEnv> = createApp(server);
  const url = (path: string) => `http://localhost${path}`;
  return {
    get: async (path, headers = {}) =>
      await app.request(url(path), { headers: { ...HOST, ...headers } }),
    async publish(channel, json, token) {
      const response = await app.request(
        url(`/v1/channels/${encodeURIComponent(channel)}/events`),
        {
          method: "POST",
          headers: {
            ...HOST,
            "Content-Type": "application/json",
            ...token !== undefined && bearer(token),
          },
          body: json,
        },
      );
      await response.body?.cancel();
      assert.equal(response.status, 201);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function dataOf(html: string): readonly string[] {
  return [...html.matchAll(/<code class="data">([^<]*)<\/code>/g)].map(([, data = ""]) => data);
}
