import assert from "node:assert/strict";
import {
  type AfterAttempt,
  type AfterCheck,
  type AttemptOutcome,
  type CheckOutcome,
  type CommitTries,
  decideAfterAttempt,
  decideAfterCheck,
  MAX_FAILURES,
  NO_TRIES,
} from "../../../lib/log/commit_decision.ts";
import { testChannelKey } from "../../support/drafts.ts";

const AWAY = new Error("connection reset");
const FULL = new Error("database or disk is full");
const TOO_LARGE = new TypeError("Value too large (max 65536 bytes)");

/** A decision as one line of text: the action, what it changes in the tries, and how. */
type Decision = string;

interface AttemptRow {
  readonly name: string;
  readonly outcome: AttemptOutcome;
  readonly tries?: Partial<CommitTries>;
  readonly mayArrive?: boolean;
  readonly decision: Decision;
}

const AFTER_ATTEMPT: readonly AttemptRow[] = [
  {
    name: "a refused commit is a conflict, and is checked at once",
    outcome: { kind: "refused" },
    decision: "check, conflicts 1",
  },
  {
    name: "a refused commit after failures counts as a conflict only",
    outcome: { kind: "refused" },
    tries: { failures: 3, conflicts: 2 },
    decision: "check, conflicts 3, failures 3",
  },
  {
    name: "a store that does not answer is a failure, and is checked after a pause",
    outcome: { kind: "failed", cause: AWAY },
    decision: "check after a pause, failures 1",
  },
  {
    name: "a store that does not answer is not a conflict",
    outcome: { kind: "failed", cause: AWAY },
    tries: { conflicts: 4, failures: 1 },
    mayArrive: true,
    decision: "check after a pause, conflicts 4, failures 2",
  },
  {
    name: "the last failure gives up, with an unknown outcome if a commit may still arrive",
    outcome: { kind: "failed", cause: AWAY },
    tries: { failures: MAX_FAILURES - 1 },
    mayArrive: true,
    decision: "give up: commit_unknown",
  },
  {
    name: "the last failure gives up, as unavailable if no commit was ever sent",
    outcome: { kind: "failed", cause: AWAY },
    tries: { failures: MAX_FAILURES - 1 },
    decision: "give up: storage_unavailable",
  },
  {
    name: "one failure less is tried again",
    outcome: { kind: "failed", cause: AWAY },
    tries: { failures: MAX_FAILURES - 2 },
    mayArrive: true,
    decision: `check after a pause, failures ${MAX_FAILURES - 1}`,
  },
  {
    name: "a permanent error gives up at once",
    outcome: { kind: "failed", cause: FULL },
    decision: "give up: storage_full",
  },
  {
    name: "a permanent error after refused commits says what it is: none of them can arrive",
    outcome: { kind: "failed", cause: FULL },
    tries: { conflicts: 2 },
    mayArrive: true,
    decision: "give up: storage_full",
  },
  {
    name: "a permanent error after a failed commit has an unknown outcome",
    outcome: { kind: "failed", cause: FULL },
    tries: { failures: 1 },
    mayArrive: true,
    decision: "give up: commit_unknown",
  },
  {
    name: "a permanent error after a failed read says what it is: nothing was sent",
    outcome: { kind: "failed", cause: FULL },
    tries: { failures: 1 },
    decision: "give up: storage_full",
  },
  {
    name: "a value that is too large is narrowed first",
    outcome: { kind: "failed", cause: TOO_LARGE },
    decision: "narrow, narrowed",
  },
  {
    name: "a value that is too large after narrowing is an internal error",
    outcome: { kind: "failed", cause: TOO_LARGE },
    tries: { isNarrowed: true },
    decision: "give up: internal",
  },
];

for (const { name, outcome, tries, mayArrive = false, decision } of AFTER_ATTEMPT) {
  Deno.test(`after an attempt: ${name}`, () => {
    const before = { ...NO_TRIES, ...tries };
    assert.equal(describe(decideAfterAttempt(outcome, before, mayArrive)), decision);
  });
}

interface CheckRow {
  readonly name: string;
  readonly outcome: CheckOutcome;
  readonly tries?: Partial<CommitTries>;
  readonly hasTime?: boolean;
  readonly decision: Decision;
}

function notFound(found: Partial<CheckOutcome & { kind: "not_found" }> = {}): CheckOutcome {
  return {
    kind: "not_found",
    moved: new Set([testChannelKey("a")]),
    hasStaleRows: false,
    independent: [],
    isSplittable: false,
    ...found,
  };
}

const AFTER_CHECK: readonly CheckRow[] = [
  {
    name: "a refused group is tried again, and its refused commits are forgotten",
    outcome: notFound(),
    tries: { conflicts: 1 },
    decision: "retry by conflicts, forgetting, conflicts 1",
  },
  {
    name: "after a failure the commits are kept: one may still arrive",
    outcome: notFound({ moved: new Set() }),
    tries: { failures: 1 },
    decision: "retry by conflicts, failures 1",
  },
  {
    name: "a refused group with independent appends is split",
    outcome: notFound({ isSplittable: true }),
    tries: { conflicts: 3 },
    decision: "split, conflicts 3",
  },
  {
    name: "after a failure the group stays whole: it may still arrive as a whole",
    outcome: notFound({ isSplittable: true }),
    tries: { conflicts: 3, failures: 1 },
    decision: "retry by conflicts, conflicts 3, failures 1",
  },
  {
    name: "stale rows alone are not a conflict of the other appends",
    outcome: notFound({ moved: new Set(), hasStaleRows: true }),
    tries: { conflicts: 3 },
    decision: "retry by conflicts, forgetting, conflicts 2",
  },
  {
    name: "stale rows in a moved channel leave the conflict",
    outcome: notFound({ hasStaleRows: true }),
    tries: { conflicts: 3 },
    decision: "retry by conflicts, forgetting, conflicts 3",
  },
  {
    name: "a conflict gives up as contended once the time is over",
    outcome: notFound({ isSplittable: true }),
    tries: { conflicts: 1 },
    hasTime: false,
    decision: "give up: contended",
  },
  {
    name: "any number of conflicts is tried again in time",
    outcome: notFound(),
    tries: { conflicts: 1_000 },
    decision: "retry by conflicts, forgetting, conflicts 1000",
  },
  {
    name: "stale rows alone are tried again after the time is over",
    outcome: notFound({ moved: new Set(), hasStaleRows: true }),
    tries: { conflicts: 3 },
    hasTime: false,
    decision: "retry by conflicts, forgetting, conflicts 2",
  },
  {
    name: "a conflict after a failure has an unknown outcome once the time is over",
    outcome: notFound(),
    tries: { conflicts: 3, failures: 1 },
    hasTime: false,
    decision: "give up: commit_unknown",
  },
  {
    name: "failures alone are tried again after the time is over: the commit may still arrive",
    outcome: notFound({ moved: new Set() }),
    tries: { failures: 3 },
    hasTime: false,
    decision: "retry by conflicts, failures 3",
  },
  {
    name: "a check without an answer is a failure, and forgets no commit",
    outcome: { kind: "failed", cause: AWAY },
    tries: { conflicts: 2 },
    decision: "retry by failures, conflicts 2, failures 1",
  },
  {
    name: "the last failure gives up as unavailable",
    outcome: { kind: "failed", cause: AWAY },
    tries: { failures: MAX_FAILURES - 1 },
    decision: "give up: storage_unavailable",
  },
  {
    name: "a permanent error gives up at once",
    outcome: { kind: "failed", cause: FULL },
    decision: "give up: storage_full",
  },
];

for (const { name, outcome, tries, hasTime = true, decision } of AFTER_CHECK) {
  Deno.test(`after a check: ${name}`, () => {
    const before = { ...NO_TRIES, ...tries };
    assert.equal(describe(decideAfterCheck(outcome, before, hasTime)), decision);
  });
}

function describe(decision: AfterAttempt | AfterCheck): Decision {
  if (decision.action === "give_up") return `give up: ${decision.problem.code}`;
  const { conflicts, failures, isNarrowed } = decision.tries;
  const counts = [
    conflicts === 0 ? "" : `, conflicts ${conflicts}`,
    failures === 0 ? "" : `, failures ${failures}`,
    isNarrowed ? ", narrowed" : "",
  ].join("");
  switch (decision.action) {
    case "check":
      return `check${decision.pauses ? " after a pause" : ""}${counts}`;
    case "retry":
      return `retry by ${decision.backoff}${decision.forgets ? ", forgetting" : ""}${counts}`;
    default:
      return decision.action + counts;
  }
}
