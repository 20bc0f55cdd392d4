import assert from "node:assert/strict";
import { z } from "zod";
import type { Weir } from "../../../../lib/client/api.ts";
import {
  type ChannelItem,
  channelView,
  type UseChannelOptions,
} from "../../../../lib/client/frameworks/channel_view.ts";
import { publisher } from "../../../../lib/client/frameworks/outgoing.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { FakeWeir } from "../../../support/fake_weir.ts";
import { until } from "../../../support/until.ts";

const at = (sequence: number) => formatOffset(epochAt(1), sequence);

Deno.test("a view shows events and gaps, its newest items only, and that reading has begun", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir, { after: "earliest", keep: 3 });
  assert.deepEqual(view.now(), { items: "", error: undefined, hasStarted: false });
  const { options } = fake.listening;
  assert.equal(options.after, "earliest");
  options.onStart?.(at(0));
  await until("it has begun", () => view.now().hasStarted);
  fake.deliver(at(1), "a", "a");
  fake.deliver(at(2), "b", "b");
  fake.listening.cursor = at(4);
  gap(fake, 5);
  fake.deliver(at(5), "c", "c");
  await until("they are there", () => view.now().items === "b gap c");
  const value = view.value();
  assert.equal(view.value(), value); // the same until it changes
  options.onError?.(new WeirError("forbidden", "No."));
  await until("the error is there", () => view.now().error === "forbidden");
});

Deno.test("items that arrive together are one change", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  const before = view.changes();
  for (let n = 1; n <= 100; n++) fake.deliver(at(n), `${n}`, n);
  await until("all are there", () => view.value().items.length === 100);
  assert.equal(view.changes() - before, 1);
});

Deno.test("after a pause reading continues, also from a gap, and late callbacks are ignored", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  fake.listening.options.onStart?.(at(0));
  fake.deliver(at(1), "a", "a");
  await until("it is there", () => view.now().items === "a");
  const first = fake.listening;
  view.end();
  assert.ok(first.isClosed);
  const again = view.listen();
  assert.equal(fake.listenings.length, 2);
  assert.equal(fake.listening.options.after, at(1));
  // The first listening had taken this event already; the second one reads it again.
  first.options.onEvent(event(2, "b"), at(2));
  fake.deliver(at(2), "b", "b");
  fake.listening.cursor = at(6);
  gap(fake, 7);
  await until("nothing is there twice", () => view.now().items === "a b gap");
  again();
  again(); // the second call has no effect
  const end = view.listen();
  assert.equal(fake.listening.options.after, at(6));
  end();
});

Deno.test("two listeners share a listening", () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  const end = view.listen();
  view.end();
  assert.equal(fake.listenings.length, 1);
  assert.ok(!fake.listening.isClosed);
  end();
  assert.ok(fake.listenings[0]?.isClosed);
});

for (const isAnsweredFirst of [true, false]) {
  Deno.test(`a published event is pending at once and replaced when it arrives, ${isAnsweredFirst ? "after" : "before"} its answer`, async () => {
    const fake = new FakeWeir();
    const view = open(fake.weir);
    fake.listening.options.onStart?.(at(0));
    const published = publisher(fake.weir, "room")("hello", { id: "x" });
    assert.equal(view.now().items, "hello…");
    const [publish] = fake.publishes;
    assert.equal(publish?.options.id, "x");
    const answer = async () => {
      publish?.resolve(at(1));
      assert.equal((await published).offset, at(1));
    };
    if (isAnsweredFirst) {
      await answer();
      assert.equal(view.now().items, "hello…"); // not received yet
    }
    fake.deliver(at(1), "x", "hello");
    await until("it is replaced", () => view.now().items === "hello");
    if (!isAnsweredFirst) await answer();
    assert.equal(view.now().items, "hello");
    view.end();
  });
}

Deno.test("a repeat of an event that was received is not pending for ever", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir, { keep: 1 });
  fake.deliver(at(1), "x", "x");
  fake.deliver(at(2), "y", "y");
  await until("they came", () => view.now().items === "y");
  const published = publisher(fake.weir, "room")("x", { id: "x" });
  assert.equal(view.now().items, "y x…");
  fake.publishes[0]?.resolve(at(1));
  await published;
  assert.equal(view.now().items, "y");
  view.end();
});

Deno.test("a refused event is failed with its error, until it is published again or dismissed", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  const published = publisher(fake.weir, "room")("hello", { id: "x" });
  const refused = new WeirError("forbidden", "No.");
  fake.publishes[0]?.reject(refused);
  await assert.rejects(published, refused);
  assert.equal(view.now().items, "hello!forbidden");
  failed(view.value().items).retry();
  assert.equal(view.now().items, "hello…");
  assert.equal(fake.publishes[1]?.options.id, "x");
  fake.publishes[1]?.reject(refused);
  await until("it is failed again", () => view.now().items === "hello!forbidden");
  failed(view.value().items).dismiss();
  assert.equal(view.now().items, "");
  view.end();
});

Deno.test("every view of a channel shows what is pending, also one that is opened later", async () => {
  const fake = new FakeWeir();
  const first = open(fake.weir);
  void publisher(fake.weir, "room")("hello", { id: "x" });
  const second = open(fake.weir);
  const other = open(fake.weir, {}, "other room");
  await until("both show it", () => first.now().items + second.now().items === "hello…hello…");
  assert.equal(other.now().items, "");
  first.end();
  fake.publishes[0]?.reject(new WeirError("forbidden", "No."));
  await until("it has failed", () => second.now().items === "hello!forbidden");
  const third = open(fake.weir);
  await until("it is shown later too", () => third.now().items === "hello!forbidden");
  for (const view of [second, third, other]) view.end();
});

Deno.test("without a view a refusal is only a rejection", async () => {
  const fake = new FakeWeir();
  const published = publisher(fake.weir, "room")("hello", { id: "x" });
  fake.publishes[0]?.reject(new WeirError("forbidden", "No."));
  await assert.rejects(published, /forbidden/);
  const view = open(fake.weir);
  assert.equal(view.now().items, "");
  view.end();
});

Deno.test("a publish whose signal aborts is shown no longer", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  const controller = new AbortController();
  const published = publisher(fake.weir, "room")("hello", { signal: controller.signal });
  controller.abort();
  fake.publishes[0]?.reject(controller.signal.reason);
  await assert.rejects(published);
  assert.equal(view.now().items, "");
  view.end();
});

Deno.test("at most 100 failed events are kept", async () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  const publish = publisher(fake.weir, "room");
  for (let n = 0; n < 102; n++) {
    const published = publish(n);
    fake.publishes[n]?.reject(new WeirError("forbidden", "No."));
    await assert.rejects(published);
  }
  assert.equal(view.value().items.length, 100);
  assert.equal(view.now().items.split(" ")[0], "2!forbidden");
  view.end();
});

Deno.test("a schema checks what is published, and its output is shown at once", async () => {
  const fake = new FakeWeir();
  const channel = { name: "room", schema: z.object({ at: z.coerce.number() }) };
  const view = channelView(fake.weir, channel);
  const end = view.subscribe(() => {});
  assert.equal(fake.listening.options.schema, channel.schema);
  const publish = publisher(fake.weir, channel);
  void publish({ at: "7" });
  const [item] = view.value.items;
  assert.ok(item?.kind === "pending");
  assert.equal(item.data.at, 7);
  assert.deepEqual(fake.publishes[0]?.data, { at: "7" });
  await assert.rejects(publish({ at: "seven" }), { code: "bad_data" });
  assert.equal(view.value.items[1]?.kind, "failed");
  assert.equal(fake.publishes.length, 1);
  end();
});

Deno.test("a schema that is asynchronous delays the publish, not the pending event", async () => {
  const fake = new FakeWeir();
  const schema = z.string().transform((text) => Promise.resolve(text.toUpperCase()));
  const view = open(fake.weir);
  void publisher(fake.weir, { name: "room", schema })("hello");
  assert.equal(view.now().items, "hello…");
  await until("it is sent", () => fake.publishes.length === 1);
  assert.equal(view.now().items, "HELLO…");
  view.end();
});

Deno.test("ephemeral events are not shown", () => {
  const fake = new FakeWeir();
  const view = open(fake.weir);
  void publisher(fake.weir, "room")("typing", { ephemeral: true });
  assert.equal(view.now().items, "");
  assert.equal(fake.publishes.length, 1);
  view.end();
});

/** Opens a view with one listener, and describes its items in a line. */
function open(weir: Weir, options: UseChannelOptions = {}, channel = "room") {
  const view = channelView<unknown>(weir, channel, options);
  let changes = 0;
  const listen = () => view.subscribe(() => changes++);
  const end = listen();
  return {
    value: () => view.value,
    now() {
      const { items, error, hasStarted } = view.value;
      return { items: items.map(describe).join(" "), error: error?.code, hasStarted };
    },
    changes: () => changes,
    listen,
    end,
  };
}

function describe(item: ChannelItem): string {
  if (item.kind === "gap") return "gap";
  const mark = { event: "", pending: "…", failed: "!" }[item.kind];
  return `${item.data}${mark}${item.kind === "failed" ? item.error.code : ""}`;
}

function failed(items: readonly ChannelItem[]) {
  const item = items[0];
  if (item?.kind !== "failed") throw new Error("it has not failed");
  return item;
}

function gap(fake: FakeWeir, firstAvailable: number): void {
  const { options, channel } = fake.listening;
  if (typeof options.onGap !== "function") throw new Error("gaps are not handled");
  options.onGap({
    kind: "gap",
    channel,
    reason: "expired",
    requested: at(2),
    firstAvailable: at(firstAvailable),
    lost: 2,
  });
}

function event(sequence: number, data: unknown) {
  return {
    kind: "event",
    channel: "room",
    offset: at(sequence),
    id: "b",
    type: "message",
    time: "2026-01-01T00:00:00Z",
    contentType: "application/json",
    data,
  } as const;
}
