import assert from "node:assert/strict";
import { JoinState } from "../../../lib/presence/join_state.ts";

type Call = "start" | "accept" | "refuse";

/** Calls in their order, and whether the last of them, a refusal, leaves the session out. */
const CASES: readonly (readonly [calls: readonly Call[], isOut: boolean, behaviour: string])[] = [
  [["start", "refuse"], true, "a session whose only call is refused stays out"],
  [["start", "start", "refuse"], false, "a session with a pending call may still join"],
  [["start", "start", "refuse", "refuse"], true, "a session whose calls are all refused stays out"],
  [["start", "start", "accept", "refuse"], false, "a later refusal keeps a joined session in"],
  [["start", "accept", "start", "refuse"], false, "a refused update keeps a joined session in"],
];

for (const [calls, isOut, behaviour] of CASES) {
  Deno.test(behaviour, () => {
    const state = new JoinState();
    assert.equal(calls.map((call) => state[call]()).at(-1), isOut);
  });
}
