import assert from "node:assert/strict";
import { connect } from "../../../../lib/client/client.ts";
import { newChannel } from "../../../support/publishing.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";

Deno.test("events published while the server is killed are stored once, in order", async () => {
  await using server = await WeirServer.start();
  await using weir = connect(server.url);
  const channel = newChannel();
  const seen: unknown[] = [];
  weir.listen(channel, {
    after: "earliest",
    onEvent: ({ data }) => void seen.push(data),
    onGap: "throw",
  });
  let n = 0;
  const publish = (count: number) =>
    Array.from({ length: count }, () => weir.publish(channel, ++n));
  const published = publish(50);
  await published[0];
  for (let kills = 0; kills < 2; kills++) {
    published.push(...publish(50));
    await server.kill();
    published.push(...publish(50));
    await server.start();
    published.push(...publish(50));
    await Promise.all(published);
  }
  const expected = Array.from({ length: n }, (_, i) => i + 1);
  await until("all are read", () => seen.length >= n);
  assert.deepEqual(seen, expected);
  const { events } = await weir.history(channel, { limit: 1_000 });
  assert.deepEqual(events.map(({ data }) => data), expected);
});

Deno.test("only the refused event of a batch is rejected", async () => {
  await using server = await WeirServer.start();
  await using weir = connect(server.url);
  const channel = newChannel();
  const outcomes = await Promise.allSettled([
    weir.publish(channel, 1),
    weir.publish(channel, 2, { ttl: -1 }),
    weir.publish(channel, 3),
    weir.publish(channel, 4, { type: "weir.own" }),
    weir.publish(channel, 5),
  ]);
  const codes = outcomes.map((one) => one.status === "rejected" ? one.reason.code : "");
  assert.deepEqual(codes, ["", "bad_event_ttl", "", "bad_event_type", ""]);
  const { events } = await weir.history(channel);
  assert.deepEqual(events.map(({ data }) => data), [1, 3, 5]);
});
