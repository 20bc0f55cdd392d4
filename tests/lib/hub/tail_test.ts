import assert from "node:assert/strict";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Log, LogListener } from "../../../lib/log/log.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");

Deno.test("a gap begins after the events that were taken in while the log was read", async () => {
  await using store = await openEmbedded();
  const [own, foreign] = [await store.isolate(), await store.isolate()];
  let listener: LogListener | undefined;
  const gates: PromiseWithResolvers<void>[] = [];
  let isGated = false;
  const log = overriding(own, {
    read: async (...args) => {
      const gate = Promise.withResolvers<void>();
      if (isGated) {
        gates.push(gate);
        await gate.promise;
      }
      return await own.read(...args);
    },
    listen: (_, heard) => {
      listener = heard; // rung by this test only
      return { [Symbol.dispose]() {} };
    },
  });
  const hub = new Hub({ log });
  await foreign.append([draft("a", "1")]);
  const sink = new FakeSink(Infinity);
  const subscription = await hub.subscribe(A, "earliest", sink);
  sink.startAt(subscription.position);
  subscription.start();
  await until("the first event has come", () => sink.events.length === 1);

  isGated = true;
  listener?.changed();
  await until("the log is read", () => gates.length === 1);
  const { position } = sink;
  await foreign.append([draft("a", "2")]);
  const { runs: [second] } = await foreign.read(A, position, 10);
  listener?.appended(second ?? assert.fail());
  await foreign.delete(A);
  isGated = false;
  gates[0]?.resolve();
  await until("the gap has come", () => sink.gaps === 1);
  await foreign.append([draft("a", "3")]);
  listener?.changed();
  await until("the third event has come", () => sink.events.length === 3);
  assert.equal(sink.position.sequence, 1); // and no write was wrong
  await hub.close();
});

/** Returns `log` with other methods. */
function overriding(log: Log, methods: Partial<Log>): Log {
  return new Proxy(log, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return methods[name as keyof Log];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
