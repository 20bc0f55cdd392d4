import assert from "node:assert/strict";
import fc from "fast-check";
import type { WeirEvent } from "../../../lib/client/api.ts";
import {
  clientFirst,
  clientPublish,
  clientRead,
  curlPublish,
  curlRead,
  reactRead,
} from "../../../islands/console/snippets.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel, post } from "../../support/publishing.ts";
import { readTo } from "../../support/text_reading.ts";
import { eventOf } from "../../../islands/console/event_text.ts";
import { EPOCH, eventAt } from "./support.ts";

const OPEN = { origin: "http://127.0.0.1:8000", isGuarded: false };
const GUARDED = { ...OPEN, isGuarded: true };

Deno.test("curlPublish() quotes everything for the shell", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const target = { origin: server.url, isGuarded: false };
  const names = fc.stringMatching(/^[!-~]{1,20}$/);
  const events = fc.oneof(
    fc.record({
      data: fc.jsonValue(),
      contentType: fc.constant("application/json"),
      type: names,
      key: names,
    }),
    fc.record({
      data: fc.oneof(
        fc.string({ unit: "grapheme" }),
        fc.constantFrom(`'; exit 1 #$(exit 2)\`exit 3\``, "@/dev/null", "line\r\nline\n"),
      ),
      contentType: fc.constant("text/plain"),
      type: names,
      key: names,
    }),
    fc.record({
      data: fc.uint8Array({ min: 0, max: 255, maxLength: 200 }),
      contentType: fc.constant("application/octet-stream"),
      type: names,
      key: names,
    }),
  );
  await fc.assert(
    fc.asyncProperty(events, async (members) => {
      fc.pre(!members.type.startsWith("weir."));
      const event: WeirEvent = { ...eventAt(1), channel, ...members };
      const command = curlPublish(event, target);
      assert.ok(command !== undefined);
      const { success, stdout } = await new Deno.Command("/bin/sh", { args: ["-c", command] })
        .output();
      assert.ok(success);
      const { offset } = JSON.parse(new TextDecoder().decode(stdout));
      const sequence = Number(offset.slice(10));
      const after = sequence === 1
        ? "earliest"
        : offset.replace(/\d{16}$/, (digits: string) =>
          String(Number(digits) - 1).padStart(16, "0"));
      const url = `${server.url}/v1/channels/${encodeURIComponent(channel)}/events`;
      const { events: [wire] } = await (await fetch(`${url}?after=${after}&limit=1`)).json();
      const { data, contentType, type, key } = eventOf(wire);
      assert.deepEqual({ data, contentType, type, key }, {
        ...members,
        data: members.contentType === "application/json"
          ? JSON.parse(JSON.stringify(members.data))
          : members.data,
      });
    }),
    { numRuns: 60 },
  );
});

Deno.test("curlRead() starts with the event itself", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const offsets: string[] = [];
  for (const data of ["1", "2", "3"]) {
    offsets.push((await (await post(server.url, channel, data)).json()).offset);
  }
  const event = { ...eventAt(2), channel, offset: offsets[1] ?? "" };
  const command = curlRead(event, { origin: server.url, isGuarded: false });
  const process = new Deno.Command("/bin/sh", {
    args: ["-c", `exec ${command}`],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const text = await readTo("data: 3", reader);
  process.kill();
  await process.status;
  await reader.cancel();
  assert.deepEqual([...text.matchAll(/^data: (\d+)$/gm)].map(([, data]) => data), ["2", "3"]);
});

Deno.test("snippets contain a placeholder and no credential", () => {
  const event = eventAt(2);
  assert.match(curlRead(event, GUARDED), /-H "Authorization: Bearer \$TOKEN"/);
  assert.match(curlPublish(event, GUARDED) ?? "", /-H "Authorization: Bearer \$TOKEN"/);
  assert.match(clientRead(event, GUARDED), /auth: \(\) => "\$TOKEN"/);
  assert.match(clientPublish(event, GUARDED) ?? "", /auth: \(\) => "\$TOKEN"/);
  assert.match(reactRead("a", GUARDED), /auth: \(\) => "\$TOKEN"/);
  for (const make of [curlRead, curlPublish, clientRead, clientPublish]) {
    assert.doesNotMatch(make(event, OPEN) ?? "", /TOKEN|Authorization|auth/);
  }
  assert.doesNotMatch(reactRead("a", OPEN), /TOKEN|auth/);
});

Deno.test("the programs are valid for any names and data", async () => {
  const event = eventAt(2, EPOCH, {
    channel: `a"b\\c\n${"`"}\${x}`,
    type: `t"t`,
    key: `k"k`,
    data: { 'a"b': ["</script>", "\u2028"] },
  });
  for (const make of [clientRead, clientPublish]) {
    const source = make(event, GUARDED) ?? "";
    const code = source.replace(/^import .*$/m, "");
    await assert.doesNotReject(() =>
      import(`data:text/javascript,${encodeURIComponent(`async () => {${code}}`)}`)
    );
  }
});

Deno.test("the programs compile", async () => {
  const event = eventAt(2, EPOCH, { channel: `a"b`, type: "t", key: "k", data: { a: [1] } });
  const programs = [OPEN, GUARDED].flatMap((target) => [
    ["ts", clientRead(event, target)],
    ["ts", clientPublish(event, target)],
    ["ts", clientFirst(`a"b`, target)],
    ["tsx", reactRead(`a"b`, target)],
  ]);
  const folder = await Deno.makeTempDir();
  try {
    const files = await Promise.all(programs.map(async ([extension, program], i) => {
      const file = `${folder}/${i}.${extension}`;
      await Deno.writeTextFile(file, program ?? assert.fail());
      return file;
    }));
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--frozen", "--config", config, ...files],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("curlPublish() returns undefined for large data", () => {
  const event = eventAt(1, EPOCH, { data: "x".repeat(20_000) });
  assert.equal(curlPublish(event, OPEN), undefined);
  assert.equal(clientPublish(event, OPEN), undefined);
  assert.equal(curlPublish(eventAt(1, EPOCH, { type: "é" }), OPEN), undefined);
  assert.equal(clientPublish(eventAt(1, EPOCH, { data: new Uint8Array(3) }), OPEN), undefined);
});
