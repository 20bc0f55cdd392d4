import assert from "node:assert/strict";
import { WeirServer } from "../support/server.ts";

Deno.test("a full disk is answered with 507, acknowledged events stay, and reads still work", async () => {
  await using server = await WeirServer.start({ maxFileBlocks: 1_200 });
  const url = `${server.url}/v1/channels/full/events`;
  let kept = 0;
  let refused: Response | undefined;
  for (let tries = 0; tries < 20 && refused === undefined; tries++) {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: "x".repeat(90_000),
    });
    if (response.status === 201) {
      kept++;
      await response.body?.cancel();
    } else refused = response;
  }
  assert.equal(refused?.status, 507);
  assert.ok(refused.headers.has("Retry-After"));
  const { code } = await refused.json() as { code: string };
  assert.equal(code, "storage_full");
  assert.ok(kept > 0);
  const { last } = await (await fetch(`${server.url}/v1/channels/full`)).json() as { last: string };
  let read = 0;
  for (let after = "earliest"; after !== last;) {
    const page = await (await fetch(`${url}?after=${after}`)).json() as Page;
    read += page.events.length;
    after = page.cursor;
  }
  assert.equal(read, kept);
});

interface Page {
  readonly events: readonly unknown[];
  readonly cursor: string;
}
