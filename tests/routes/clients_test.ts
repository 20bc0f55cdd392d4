import assert from "node:assert/strict";
import { EventSource } from "eventsource";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { Queue } from "../support/queue.ts";
import { head, RawConnection } from "../support/raw_connection.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";

Deno.test("npm's EventSource reconnects after a restart and receives each event once", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  await publishNumbers(server.url, channel, 3);
  const messages = new Queue<number>();
  const goodbyes = new Queue<string>();
  const source = new EventSource(readUrl(server.url, [channel], { after: "earliest" }));
  source.addEventListener("message", ({ data }) => messages.put(Number(data)));
  source.addEventListener("weir.goodbye", ({ data }) => goodbyes.put(JSON.parse(data).reason));
  const seen: number[] = [];
  while (seen.length < 3) seen.push(await messages.take());
  await server.kill("SIGTERM");
  assert.equal(await goodbyes.take(), "stopping");
  await server.start();
  for (const data of [4, 5]) await publish(server.url, channel, data);
  while (seen.length < 5) seen.push(await messages.take());
  source.close();
  assert.deepEqual(seen, [1, 2, 3, 4, 5]);
});

Deno.test("npm's EventSource misses nothing when the server restarts before the first event", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  await publish(server.url, channel, "before");
  const source = new EventSource(readUrl(server.url, [channel]));
  const messages = new Queue<string>();
  source.addEventListener("message", ({ data }) => messages.put(data));
  await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
  // An open event means that the headers have arrived; an event shows the same of the stream's opening.
  await publish(server.url, channel, "first");
  assert.equal(await messages.take(), `"first"`);
  await server.kill("SIGKILL");
  await server.start();
  await publish(server.url, channel, "while away");
  assert.equal(await messages.take(), `"while away"`);
  source.close();
});

const NODE_PROGRAM = `
  const [url, channel] = process.argv.slice(1);
  const events = url + "/v1/channels/" + channel + "/events";
  const stream = await fetch(events, { headers: { Accept: "text/event-stream" } });
  const publish = (data) => fetch(events, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
  }).then((response) => response.json());
  for (const data of [1, 2, 3]) await publish(data);
  let text = "";
  for await (const chunk of stream.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/data: 3\\n\\n/.test(text)) break;
  }
  const page = await (await fetch(events)).json();
  console.log(JSON.stringify({
    streamed: [...text.matchAll(/^data: (\\d+)$/gm)].map(([, data]) => Number(data)),
    read: page.events.map(({ data }) => data),
  }));
  process.exit(0);
`;

Deno.test("Node's fetch publishes, streams and reads", { ignore: !hasNode() }, async () => {
  await using server = await WeirServer.start();
  const { code, stdout } = await new Deno.Command("node", {
    args: ["--input-type=module", "-e", NODE_PROGRAM, server.url, newChannel()],
  }).output();
  assert.equal(code, 0);
  const all = [1, 2, 3];
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), { streamed: all, read: all });
});

Deno.test("a raw connection publishes in chunks and pipelines its requests", async () => {
  await using server = await WeirServer.start();
  const path = `/v1/channels/${newChannel()}/events`;
  using connection = await RawConnection.open(server.port);
  const chunked = { "Content-Type": "application/json", "Transfer-Encoding": "chunked" };
  await connection.write(
    `${head("POST", path, chunked)}2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n${head("GET", path)}`,
  );
  assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 201 /);
  await connection.readUntil("}");
  assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
  assert.match(await connection.readUntil("upToDate"), /"data":\[1,2\]/);
});

function hasNode(): boolean {
  try {
    return new Deno.Command("node", { args: ["--version"] }).outputSync().success;
  } catch (cause) {
    if (Deno.env.get("CI") === "true") throw cause;
    return false;
  }
}
