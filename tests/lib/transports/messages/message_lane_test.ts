import assert from "node:assert/strict";
import { clearImmediate, setImmediate } from "node:timers";
import { TURN_CHARS } from "../../../../lib/publish/large_text_turns.ts";
import { MessageBudget, MessageLane } from "../../../../lib/transports/messages/message_lane.ts";
import { until } from "../../../support/until.ts";

const LARGE = "x".repeat(TURN_CHARS + 1);

/** A lane whose large messages wait until the test handles them. */
class Fixture {
  readonly lane: MessageLane;
  readonly received: string[] = [];
  isEnded = false;
  readonly #gates: (() => void)[] = [];

  constructor(budget = new MessageBudget()) {
    this.lane = new MessageLane({
      budget,
      receive: (line) => void this.received.push(line),
      receiveLarge: async (line) => {
        await new Promise<void>((resolve) => this.#gates.push(resolve));
        this.received.push(`large ${line.length}`);
      },
      flood: () => void (this.isEnded = true),
    });
  }

  async handleLarge(): Promise<void> {
    await until("a large message waits", () => this.#gates.length > 0);
    this.#gates.shift()?.();
  }

  async idle(): Promise<void> {
    await until("the lane is idle", () => this.lane.isIdle);
  }
}

Deno.test("messages keep their order, also those after a large one", async () => {
  const fixture = new Fixture();
  fixture.lane.add(["1", LARGE, "2"]);
  fixture.lane.add(["3"]);
  fixture.lane.add([LARGE, "4"]);
  assert.deepEqual([fixture.lane.isIdle, fixture.received], [false, []]);
  await fixture.handleLarge();
  await fixture.handleLarge();
  await fixture.idle();
  const large = `large ${LARGE.length}`;
  assert.deepEqual(fixture.received, ["1", large, "2", "3", large, "4"]);
});

Deno.test("others get turns of the event loop between many messages of one frame", async () => {
  const fixture = new Fixture();
  let turns = 0;
  let next = setImmediate(function turn() {
    turns++;
    next = setImmediate(turn);
  });
  fixture.lane.add(Array(200).fill("x".repeat(TURN_CHARS / 10)));
  await fixture.idle();
  clearImmediate(next);
  assert.equal(fixture.received.length, 200);
  assert.ok(turns >= 20, `${turns} turns`);
});

Deno.test("a closed lane handles nothing more", async () => {
  const fixture = new Fixture();
  fixture.lane.add(["1", LARGE, "2"]);
  await until("the first is received", () => fixture.received.length === 1);
  fixture.lane.close();
  await fixture.handleLarge();
  fixture.lane.add(["3"]);
  await fixture.idle();
  assert.deepEqual(fixture.received, ["1", `large ${LARGE.length}`]);
});

Deno.test("the socket with the most waiting frames is ended when too much waits in all", async () => {
  const budget = new MessageBudget(4 * LARGE.length);
  const [greedy, modest] = [new Fixture(budget), new Fixture(budget)];
  greedy.lane.add([LARGE, LARGE]);
  modest.lane.add([LARGE]);
  assert.deepEqual([greedy.isEnded, modest.isEnded], [false, false]);
  modest.lane.add(["x"]);
  greedy.lane.add([LARGE]);
  assert.deepEqual([greedy.isEnded, modest.isEnded], [true, false]);
  await modest.handleLarge();
  await modest.idle();
  for (let i = 0; i < 3; i++) {
    modest.lane.add([LARGE]);
    await modest.handleLarge();
    await modest.idle();
  }
  assert.equal(modest.isEnded, false, "what was handled does not count");
});
