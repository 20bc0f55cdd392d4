import assert from "node:assert/strict";
import {
  clientMessageList,
  serverMessageList,
  streamMessageList,
} from "../../routes/api_description/asyncapi.ts";
import { openApiPath } from "../../routes/api_description/openapi.ts";
import { ROUTES } from "../../routes/api_description/routes.ts";
import { draft } from "../support/drafts.ts";
import { until } from "../support/until.ts";
import { cookie, dataOf, openApp, openGuardedApp, PATHS } from "../support/page_app.ts";

const DOCS = "/docs/README.md";

Deno.test("the console is rendered with a channel's newest events and a cursor", async () => {
  await using weir = await openApp();
  for (let i = 1; i <= 60; i++) await weir.publish("demo", String(i));
  const response = await weir.get("/");
  const text = await response.text();
  assert.equal(response.status, 200);
  assert.deepEqual(dataOf(text), Array.from({ length: 50 }, (_, i) => String(11 + i)));
  assert.match(text, /<code>[0-9a-z]{9}_…60<\/code>/);
});

Deno.test("an event that is nested too deeply to render is left to the browser", async () => {
  await using weir = await openApp();
  await weir.publish("demo", "1");
  const data = "[".repeat(8_000) + "]".repeat(8_000); // as older versions have stored it
  await weir.append([draft("demo", data)]);
  await weir.publish("demo", "3");
  const response = await weir.get("/");
  assert.equal(response.status, 200);
  const text = await response.text();
  assert.deepEqual(dataOf(text), ["1", "3"]);
  assert.match(text, /<code>[0-9a-z]{9}_…3<\/code>/);
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
    assert.deepEqual(links.map(([, href]) => href), [...PATHS, DOCS]);
    assert.deepEqual(
      links.filter(([, , current]) => current !== undefined).map(([, href]) => href),
      [path],
    );
    assert.match(text, /<title>[^<]+ · Weir<\/title>/);
    assert.match(text, /<small>\d+\.\d+\.\d+<\/small>/);
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
        assert.deepEqual(links, [served[0], ...served, DOCS], path); // the first is the logo
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
  const scripts = {
    "/": "console",
    "/chat": "chat",
    "/call": "call",
    "/drop": "drop",
    "/dashboard": "dashboard",
    "/lab": "lab",
  };
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
      "permissions-policy": path === "/call"
        ? "camera=(self), display-capture=(self), geolocation=(), microphone=(self), payment=(), usb=()"
        : "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
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

Deno.test("the documentation is served with the pages, to everyone, and no other file is", async () => {
  await using weir = await openGuardedApp();
  for (const name of ["README", "client", "guides/socket_io"]) {
    const response = await weir.get(`/docs/${name}.md`);
    const text = await response.text();
    assert.equal(response.status, 200, name);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    assert.match(text, /<article class="card doc"><h1 id=/);
    assert.match(text, /href="\/docs\/README.md" aria-current="page"/);
  }
  for (
    const path of [
      "/docs/none.md",
      "/docs/..%2fdeno.md",
      "/docs/client.html",
      "/docs/.md",
      "/docs/../deno.md",
    ]
  ) {
    const response = await weir.get(path);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
  await using pageless = await openApp({ WEIR_PAGES: "none" });
  const response = await pageless.get("/docs/client.md");
  assert.equal(response.status, 404);
  await response.body?.cancel();
});

Deno.test("clients that do not ask for HTML get the documentation as Markdown", async () => {
  await using weir = await openGuardedApp();
  const markdown = { Accept: "*/*" };
  for (const name of ["README", "guides/socket_io"]) {
    const response = await weir.get(`/docs/${name}.md`, markdown);
    assert.equal(response.headers.get("content-type"), "text/markdown; charset=utf-8");
    assert.match(response.headers.get("vary") ?? "", /Accept/);
    assert.match(await response.text(), /^# /);
  }
  const browser = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
  const page = await weir.get("/docs/README.md", browser);
  assert.match(await page.text(), /^<!doctype html>/);
  const list = await (await weir.get("/llms.txt")).text();
  const links = [...list.matchAll(/\]\(([^)]+)\)/g)].map(([, href = ""]) => href);
  assert.ok(links.length > 10);
  for (const href of links) {
    const response = await weir.get(href, markdown);
    assert.equal(response.status, 200, href);
    await response.body?.cancel();
  }
});

Deno.test("the page of the API has every route and message, and loads nothing but its style", async () => {
  await using weir = await openGuardedApp();
  const response = await weir.get("/docs/api");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  const html = await response.text();
  assert.doesNotMatch(html, /<script|<img src="(?!\/assets\/)|(?:src|href)="https?:/);
  for (const [path, methods] of Object.entries(ROUTES)) {
    for (const [method, { id, problems }] of Object.entries(methods)) {
      assert.ok(html.includes(`<h3 id="${id}"><code>${method} ${openApiPath(path)}</code>`), id);
      for (const code of problems) assert.ok(html.includes(`<code>${code}</code>`), code);
    }
  }
  for (const { id } of [...clientMessageList(), ...serverMessageList(), ...streamMessageList()]) {
    assert.ok(html.includes(`id="message-${id}"`), id);
  }
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(html.includes("curl"));
  await using pageless = await openApp({ WEIR_PAGES: "none" });
  for (const path of ["/docs/api", "/llms.txt"]) {
    const response = await pageless.get(path);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
});
