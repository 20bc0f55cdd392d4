import assert from "node:assert/strict";
import { makeSigner } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { ALL_RIGHTS, cookie, dataOf, openApp, openGuardedApp, PATHS } from "../support/page_app.ts";

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
  const expired = await weir.token(ALL_RIGHTS, { iat: past, exp: past + 50 });
  const foreign = await (await makeSigner("EdDSA")).sign({ weir: ALL_RIGHTS });
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
  const rights = (tenant: string) => ({ ...ALL_RIGHTS, tenant });
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
