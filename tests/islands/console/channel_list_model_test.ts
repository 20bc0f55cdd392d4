import assert from "node:assert/strict";
import { ChannelListModel, withRates } from "../../../islands/console/channel_list_model.ts";
import type { ChannelFigures } from "../../../islands/console/requests.ts";
import { eventAt, LATER_EPOCH } from "./support.ts";

Deno.test("a channel's rate is the growth of its last offset", () => {
  const before = [figures("a", 10), figures("b", 5), figures("gone", 1)];
  const after = [figures("a", 40), figures("b", 5), figures("new", 3)];
  const rates = withRates(after, before, 2_000).map(({ channel, rate }) => [channel, rate]);
  assert.deepEqual(rates, [["a", 15], ["b", 0], ["new", undefined]]);
});

Deno.test("a recreated channel's rate counts from its start", () => {
  const again = { ...figures("a", 4), last: eventAt(4, LATER_EPOCH).offset };
  assert.equal(withRates([again], [figures("a", 900)], 1_000)[0]?.rate, 4);
});

Deno.test("system channels are found only if the search starts with $", () => {
  const channels = [figures("$presence:a", 1), figures("Orders", 1), figures("users", 1)];
  const list = new ChannelListModel({ channels, next: null });
  const found = () => list.found.value.map(({ channel }) => channel);
  assert.deepEqual(found(), ["Orders", "users"]);
  list.search.value = " ord ";
  assert.deepEqual(found(), ["Orders"]);
  list.search.value = "$";
  assert.deepEqual(found(), ["$presence:a"]);
});

function figures(channel: string, last: number): ChannelFigures {
  return {
    channel,
    created: "2026-11-21T03:13:58.566Z",
    changed: "2026-11-21T03:13:58.566Z",
    first: eventAt(1).offset,
    last: eventAt(last).offset,
    events: last,
    bytes: 1,
    retention: { age: 1, events: 1, bytes: 1 },
  };
}
