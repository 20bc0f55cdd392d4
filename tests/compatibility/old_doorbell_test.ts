import assert from "node:assert/strict";
import type { CommitNews } from "../../lib/kv/doorbell.ts";
import { shardOf } from "../../lib/kv/journal_row.ts";
import { keys } from "../../lib/kv/keys.ts";
import { WatchDoorbell } from "../../lib/kv/watch_doorbell.ts";
import { runOfCarried } from "../../lib/log/carried_events.ts";
import { formatOffset } from "../../lib/shared/offset.ts";
import type { EphemeralEvent } from "../../lib/shared/ephemeral.ts";
import { draft, testChannelKey } from "../support/drafts.ts";
import { openEmbedded } from "../support/log_stores.ts";
import { until } from "../support/until.ts";
import { deserialized, readFixture, RELEASES, shapeOf } from "./fixture.ts";

for (const release of RELEASES) {
  Deno.test(`a process understands what one of release ${release} tells over the store`, async () => {
    const { recording: { doorbell: recorded } } = await readFixture(release);
    const channelKey = testChannelKey(recorded.channel);
    const shard = shardOf(channelKey);
    await using stack = new AsyncDisposableStack();
    const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
    const doorbell = stack.adopt(new WatchDoorbell(kv, kv), (doorbell) => doorbell.close());
    const heard: (CommitNews | undefined)[] = [];
    const events: EphemeralEvent[] = [];
    using _listening = doorbell.listen(channelKey, (news) => void heard.push(news));
    using _subscription = doorbell.subscribe(channelKey, (event) => void events.push(event));
    const commit = (wake: unknown, row: unknown) =>
      kv.atomic().set(keys.wake(shard), wake)
        .set([...keys.changes(shard), kv.commitVersionstamp()], row).commit();
    await commit(0, { by: "other", addresses: [channelKey] });
    await until("the channel is followed", () => heard.length > 0);
    heard.length = 0;

    const [stored, ephemeral] = recorded.journal.map(deserialized);
    await commit(deserialized(recorded.wake), stored);
    await until("the commit is heard", () => heard.length === 1);
    const run = runOfCarried(channelKey, heard[0]?.carried) ?? assert.fail();
    const [event] = run.events;
    const { offset, data, type, contentType, time } = recorded.event;
    assert.equal(formatOffset(run.epoch, event?.sequence ?? 0), offset);
    assert.partialDeepStrictEqual(event, { data, type, contentType, time: Date.parse(time) });
    await commit(0, ephemeral);
    await until("the ephemeral event arrives", () => events.length === 1);
    assert.equal(events[0]?.data, JSON.stringify(recorded.ephemeral["data"]));
  });

  Deno.test(`a process tells one of release ${release} over the store what that understands`, async () => {
    const { recording: { doorbell: recorded } } = await readFixture(release);
    const channelKey = testChannelKey(recorded.channel);
    const shard = shardOf(channelKey);
    await using store = await openEmbedded();
    const { kv } = store;
    const doorbell = new WatchDoorbell(kv, kv);
    const log = await store.isolate({ doorbell });
    await log.append([
      draft(recorded.channel, "small", { type: "note", contentType: "text/plain" }),
    ]);
    const { value: wake } = await store.kv.get(keys.wake(shard));
    assert.partialDeepStrictEqual(shapeOf(wake), shapeOf(deserialized(recorded.wake)));
    const event = { type: "message", time: Date.now(), contentType: "application/json", data: "1" };
    doorbell.relay(channelKey, event);
    const readJournal = () => Array.fromAsync(kv.list({ prefix: keys.changes(shard) }));
    await until("both are written", async () => (await readJournal()).length === 2);
    const journal = (await readJournal()).map(({ value }) => shapeOf(value));
    assert.partialDeepStrictEqual(
      journal,
      recorded.journal.map((row) => shapeOf(deserialized(row))),
    );
  });
}
