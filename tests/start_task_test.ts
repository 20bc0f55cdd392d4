import assert from "node:assert/strict";

/** How people start it. `npx --package=deno -c '…'` runs its command by `sh -c`. */
const STARTS = [
  ["deno task start", Deno.execPath(), ["task", "start"]],
  ["exec deno task start, by sh -c,", "sh", ["-c", `exec "$0" task start`, Deno.execPath()]],
] as const;

for (const [name, program, args] of STARTS) {
  Deno.test(`${name} serves with the permissions that its settings need, prints no warning and stops at SIGTERM`, async () => {
    const data = await Deno.makeTempDir({ prefix: "weir_start_" });
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => Deno.remove(data, { recursive: true }));
    await using process = new Deno.Command(program, {
      args: [...args],
      env: {
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
        WEIR_PORT: "0",
        WEIR_DATA: data,
        WEIR_DRAIN: "0s",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(process.stderr).text();
    const stdout = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let url: string | undefined;
    while (url === undefined) {
      const { value, done } = await stdout.read();
      if (done) assert.fail(`it ended without listening: ${await stderr}`);
      text += value;
      url = /http:\/\/\S+:\d+/.exec(text)?.[0];
    }
    const body = JSON.stringify({ hello: "world" });
    const published = await fetch(`${url}/v1/channels/a/events`, { method: "POST", body });
    assert.equal(published.status, 201, await published.text());
    const page = await fetch(url, { headers: { Accept: "text/html" } });
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<html/);
    process.kill("SIGTERM");
    await stdout.cancel();
    const { code } = await process.status;
    assert.equal(code, 0);
    for (const line of (await stderr).split("\n")) {
      assert.match(line, /^$|^Task |^\{.*"level":"info"/);
    }
  });
}
