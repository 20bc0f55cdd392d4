import assert from "node:assert/strict";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import type { CommitNews } from "../../../lib/kv/doorbell.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { until } from "../../support/until.ts";
import "../../support/open_broadcast_channel.ts";

Deno.test("listeners get the news of other isolates' commits, in order", async () => {
  const store = crypto.randomUUID();
  await using stack = new AsyncDisposableStack();
  const [here, there, third] = Array.from(
    { length: 3 },
    () => stack.adopt(new BroadcastDoorbell(store), (doorbell) => doorbell.close()),
  ) as [BroadcastDoorbell, BroadcastDoorbell, BroadcastDoorbell];
  const [a, b] = [testChannelKey("a"), testChannelKey("b")];
  const heard: (CommitNews | undefined)[] = [];
  const own: (CommitNews | undefined)[] = [];
  using _own = here.listen(a, (news) => void own.push(news));
  using _there = there.listen(a, (news) => void heard.push(news));
  here.committed([{ channelKey: b, head: 7 }, { channelKey: a, head: { last: 1 } }], "01");
  here.committed([{ channelKey: b, head: 8 }], "02");
  here.committed([{ channelKey: a }], "03");
  here.committed([{ channelKey: a, head: { last: 2 } }], undefined);
  third.committed([{ channelKey: a, head: { last: 3 } }], "05");
  await until("four commits are heard", () => heard.length === 4);
  await until("the third isolate's is heard", () => own.length === 1);
  const [fromThird] = own; // an isolate does not hear its own commits
  assert.deepEqual([fromThird?.versionstamp, fromThird?.head], ["05", { last: 3 }]);
  const others = heard.filter((news) => news?.by !== fromThird?.by);
  assert.deepEqual(
    others.map((news) => news && [news.versionstamp, news.head]),
    [["01", { last: 1 }], ["03", undefined], undefined],
    "nothing is known of a commit without a versionstamp",
  );
  assert.equal(others[0]?.by, others[1]?.by);
});

Deno.test("nothing is sent until a second isolate has the store open", async () => {
  const store = crypto.randomUUID();
  let isShared = false;
  await using stack = new AsyncDisposableStack();
  const open = (doorbell: BroadcastDoorbell) => stack.adopt(doorbell, (opened) => opened.close());
  const here = open(new BroadcastDoorbell(store, () => isShared));
  const there = open(new BroadcastDoorbell(store));
  const a = testChannelKey("a");
  const heard: (CommitNews | undefined)[] = [];
  using _there = there.listen(a, (news) => void heard.push(news));
  here.committed([{ channelKey: a }], "01");
  isShared = true;
  here.committed([{ channelKey: a }], "02");
  await until("a commit is heard", () => heard.length > 0);
  assert.deepEqual(heard.map((news) => news?.versionstamp), ["02"]);
});
