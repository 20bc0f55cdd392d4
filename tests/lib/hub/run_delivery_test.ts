import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { RunDelivery } from "../../../lib/hub/run_delivery.ts";
import { DeliveryClock } from "../../../lib/hub/delivery_clock.ts";
import { Run } from "../../../lib/log/run.ts";
import type { Gap, LogEvent } from "../../../lib/shared/event.ts";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";

const A = testChannelKey("a");
const EPOCH = epochAt(1);
const NEXT_EPOCH = epochAt(2);

function run(after: number, events: number, epoch = EPOCH, gap?: Gap): Run {
  const { type, contentType, data, key } = draft("a", "1");
  return new Run(
    A,
    epoch,
    after,
    Array.from({ length: events }, (_, i): LogEvent => ({
      sequence: after + i + 1,
      id: undefined,
      type,
      time: 0,
      contentType,
      data,
      key,
      publisher: undefined,
      traceparent: undefined,
      expiresAt: undefined,
    })),
    gap,
  );
}

/** A delivery whose deliveries are listed as `epoch: first–last`, with 1 and 2 as epochs. */
function delivery(subscribers: number) {
  const delivered: string[] = [];
  const runs = new RunDelivery({
    deliver: ({ epoch, after, last }) =>
      delivered.push(`${epoch === EPOCH ? 1 : 2}: ${after + 1}–${last}`),
    subscribers: () => subscribers,
    clock: new DeliveryClock(),
  });
  return { runs, delivered };
}

Deno.test("RunDelivery joins the runs of one turn of the event loop", async () => {
  const { runs, delivered } = delivery(1);
  for (const after of [0, 2, 4]) runs.add(run(after, 2));
  assert.deepEqual(delivered, [], "publishers get their answers first");
  await setImmediate();
  assert.deepEqual(delivered, ["1: 1–6"]);
});

Deno.test("RunDelivery delivers at once what an epoch or a gap ends", async () => {
  const { runs, delivered } = delivery(1);
  runs.add(run(0, 2));
  runs.add(run(0, 3, NEXT_EPOCH));
  assert.deepEqual(delivered, ["1: 1–2"]);
  const [requested, firstAvailable] = [formatOffset(NEXT_EPOCH, 3), formatOffset(NEXT_EPOCH, 6)];
  runs.add(run(5, 1, NEXT_EPOCH, { reason: "expired", requested, firstAvailable, lost: 2 }));
  assert.deepEqual(delivered, ["1: 1–2", "2: 1–3"]);
  runs.add(run(6, 1, NEXT_EPOCH));
  await setImmediate();
  assert.deepEqual(delivered, ["1: 1–2", "2: 1–3", "2: 6–7"]);
});

Deno.test("RunDelivery drops runs while there are no subscribers", async () => {
  const { runs, delivered } = delivery(0);
  runs.add(run(0, 1));
  await setImmediate();
  assert.deepEqual(delivered, []);
});
