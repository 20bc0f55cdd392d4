import assert from "node:assert/strict";
import type { LogListener } from "../../../lib/log/log.ts";
import { POLLED_AT_ONCE, SafetyPoll } from "../../../lib/log/safety_poll.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { ORIGIN, type Position } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { upTo } from "../../support/log_reading.ts";
import { type LogStore, openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";

class Listener implements LogListener {
  changes = 0;

  constructor(public position: Position) {}

  appended(): void {}

  changed(): void {
    this.changes++;
  }
}

Deno.test("only listeners behind the head are notified, once for each change of it", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  for (const channel of ["a", "b"]) await log.append([draft(channel, "1")]);
  const { end } = await log.bounds(testChannelKey("a"));
  const upToDate = new Listener(end);
  const behind = new Listener(ORIGIN);
  const [unused, recreated] = [new Listener(ORIGIN), new Listener(end)];
  await using polling = poll(
    store,
    new Map([
      [testChannelKey("a"), upToDate],
      [testChannelKey("b"), behind],
      [testChannelKey("unused"), unused],
      [testChannelKey("deleted"), recreated],
    ]),
  );
  await polling.twice();
  assert.deepEqual([upToDate, behind, unused, recreated].map(({ changes }) => changes), [
    0,
    1,
    0,
    1,
  ]);
  await log.append([draft("a", "2")]);
  await until("it is notified", () => upToDate.changes === 1);
  await log.append([draft("a", "3")]);
  upToDate.position = (await log.bounds(testChannelKey("a"))).end;
  await log.configure(testChannelKey("a"), { events: 100 }); // changes the head, not its end
  const { changes } = upToDate;
  await polling.twice();
  assert.equal(upToDate.changes, changes);
});

Deno.test("a poll reads the heads of thousands of channels part by part", async () => {
  await using store = await openEmbedded();
  const listeners = upTo(2_000).map((i) =>
    [testChannelKey(`c${i}`), new Listener(ORIGIN)] as const
  );
  await using polling = poll(store, new Map(listeners));
  await polling.twice();
  assert.ok(polling.mostAtOnce <= POLLED_AT_ONCE, `${polling.mostAtOnce} heads at once`);
});

/** Polls the heads of these channels without pause. */
function poll(store: LogStore, listeners: ReadonlyMap<ChannelKey, LogListener>) {
  let [underWay, mostAtOnce, read] = [0, 0, 0];
  const kv = new Proxy(store.kv, {
    get(target, name) {
      if (name !== "getMany") return Reflect.get(target, name, target);
      return async (keys: readonly Deno.KvKey[]) => {
        underWay += keys.length;
        mostAtOnce = Math.max(mostAtOnce, underWay);
        const entries = await target.getMany([...keys]);
        underWay -= keys.length;
        read += keys.length;
        return entries;
      };
    },
  });
  const safetyPoll = new SafetyPoll({ kv, listeners, intervalMs: 1 });
  return {
    /** Heads whose reads were under way at the same time. */
    get mostAtOnce() {
      return mostAtOnce;
    },
    /** Resolves once two whole polls have begun and ended. */
    async twice() {
      const before = read;
      await until("two polls are over", () => read - before >= 3 * listeners.size);
    },
    [Symbol.asyncDispose]: () => safetyPoll.close(),
  };
}
