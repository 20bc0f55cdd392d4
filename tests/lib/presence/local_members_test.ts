import assert from "node:assert/strict";
import {
  GRACE_MS,
  LocalMembers,
  type PendingJoin,
  type SessionKey,
} from "../../../lib/presence/local_members.ts";
import { NamedSession } from "../../../lib/presence/named_session.ts";
import { memberIn } from "../../support/presence.ts";

const ann = memberIn("room", "ann");

/**
 * What happens to ann. A number lets that many milliseconds pass; `join`, `accept`, `refuse`,
 * `leave` and `disconnect` name a session; `left` is the end of a write that removes what is due.
 */
type Step = number | "left" | "reap" | `${"join" | "leave" | "disconnect"} ${string}` | Answer;
type Answer = `${"accept" | "refuse"} ${string}`;

type Phase = "absent" | "joining" | "present" | "grace" | "leaving" | "reaped";

interface Case {
  readonly behaviour: string;
  /** Each step, and the phase that it leads to. */
  readonly steps: readonly (readonly [Step, Phase])[];
}

const joined: Case["steps"] = [["join a", "joining"], ["accept a", "present"]];

const CASES: readonly Case[] = [
  { behaviour: "a member whose join is accepted is present", steps: joined },
  {
    behaviour: "a member whose only join is refused is absent",
    steps: [["join a", "joining"], ["refuse a", "absent"]],
  },
  {
    behaviour: "a member whose last session leaves is due at once",
    steps: [...joined, ["leave a", "leaving"], ["left", "absent"]],
  },
  {
    behaviour: "a member whose last session disconnects has the grace period",
    steps: [
      ...joined,
      ["disconnect a", "grace"],
      [GRACE_MS - 1, "grace"],
      [1, "leaving"],
      ["left", "absent"],
    ],
  },
  {
    behaviour: "a member that reconnects in its grace period stays",
    steps: [
      ...joined,
      ["disconnect a", "grace"],
      ["join b", "joining"],
      ["accept b", "present"],
      [2 * GRACE_MS, "present"],
    ],
  },
  {
    behaviour: "a member that is refused in its grace period keeps the rest of it",
    steps: [
      ...joined,
      ["disconnect a", "grace"],
      [4_000, "grace"],
      ["join b", "joining"],
      ["refuse b", "grace"],
      [GRACE_MS - 4_001, "grace"],
      [1, "leaving"],
    ],
  },
  {
    behaviour: "a member that leaves in the grace period of another session is due at once",
    steps: [
      ...joined,
      ["join b", "present"],
      ["accept b", "present"],
      ["disconnect a", "present"],
      ["leave b", "leaving"],
    ],
  },
  {
    behaviour: "a member stays until its last session leaves",
    steps: [
      ...joined,
      ["join b", "present"],
      ["accept b", "present"],
      ["leave a", "present"],
      ["leave b", "leaving"],
    ],
  },
  {
    behaviour: "a session that joins before the member is removed keeps it",
    steps: [
      ...joined,
      ["leave a", "leaving"],
      ["join b", "joining"],
      ["left", "joining"],
      ["accept b", "present"],
    ],
  },
  {
    behaviour: "a refused update changes nothing",
    steps: [...joined, ["join a", "present"], ["refuse a", "present"]],
  },
  {
    behaviour: "a reaped member with a session joins again",
    steps: [...joined, ["reap", "reaped"], ["join a", "reaped"], ["accept a", "present"]],
  },
  {
    behaviour: "a reaped member without a session leaves",
    steps: [...joined, ["reap", "reaped"], ["leave a", "leaving"], ["left", "absent"]],
  },
  {
    behaviour: "leaving or disconnecting what never joined changes nothing",
    steps: [["leave a", "absent"], ["disconnect a", "absent"], ...joined, ["leave b", "present"]],
  },
  {
    behaviour: "a member stays while a lost named session has its grace period",
    steps: [
      ...joined,
      ["join #x", "present"],
      ["accept #x", "present"],
      ["disconnect #x", "present"],
      [4_000, "present"],
      ["leave a", "grace"],
      [GRACE_MS - 4_001, "grace"],
      [1, "leaving"],
      ["left", "absent"],
    ],
  },
  {
    behaviour: "a named session that leaves does not end the grace period of another one",
    steps: [
      ["join #x", "joining"],
      ["accept #x", "present"],
      ["join #y", "present"],
      ["accept #y", "present"],
      ["disconnect #x", "present"],
      [1_000, "present"],
      ["leave #y", "leaving"],
      ["left", "grace"],
      [GRACE_MS - 1_001, "grace"],
      [1, "leaving"],
      ["left", "absent"],
    ],
  },
  {
    behaviour: "a named session that reconnects in its grace period stays",
    steps: [
      ...joined,
      ["join #x", "present"],
      ["accept #x", "present"],
      ["disconnect #x", "present"],
      ["join #x", "present"],
      ["accept #x", "present"],
      ["leave a", "present"],
      [2 * GRACE_MS, "present"],
    ],
  },
];

/** Does steps as the writer of the rows does. */
class Run {
  readonly #members = new LocalMembers();
  readonly #joins = new Map<string, PendingJoin>();
  readonly #accepted = new Set<string>();
  readonly #named = new Map<string, NamedSession>();
  #nowMs = 1_000;

  step(step: Step): void {
    const members = this.#members;
    if (typeof step === "number") {
      this.#nowMs += step;
      return;
    }
    const [action, session = ""] = step.split(" ");
    const join = this.#joins.get(session);
    switch (action) {
      case "join":
        this.#joins.set(session, members.startJoin(this.#key(session), ann));
        break;
      case "accept":
        assert.ok(join);
        members.resolveJoining(join.local, this.#nowMs);
        members.markStored(join.local, "null", [
          ...members.keptNames(join.local, this.#nowMs),
          ...session.startsWith("#") ? [session] : [],
        ]);
        members.acceptJoin(join);
        this.#accepted.add(session);
        break;
      case "refuse":
        assert.ok(join);
        members.refuseJoin(join, this.#nowMs);
        break;
      case "leave":
        members.leave(this.#key(session), ann, this.#nowMs);
        break;
      case "disconnect":
        members.disconnect(this.#key(session), ann, this.#nowMs);
        break;
      case "left":
        for (const local of members.due(this.#nowMs)) {
          if (members.mayLeave(local, this.#nowMs)) members.markLeft(local);
          else members.markListed(local, members.keptNames(local, this.#nowMs));
        }
        break;
      case "reap":
        members.markAllReaped();
    }
  }

  /** A session whose name starts with `#` is a named one. */
  #key(session: string): SessionKey {
    if (!session.startsWith("#")) return session;
    const key = this.#named.get(session) ?? new NamedSession(session, true);
    this.#named.set(session, key);
    return key;
  }

  get phase(): Phase {
    const members = this.#members;
    if (!members.has(ann)) return "absent";
    const [reaped] = members.reaped();
    if (reaped !== undefined && members.mustRejoin(reaped)) return "reaped";
    const sessions = [...this.#joins.keys()].filter((name) => {
      return members.hasSession(this.#key(name), ann);
    });
    if (sessions.some((name) => this.#accepted.has(name))) return "present";
    if (sessions.length > 0) return "joining";
    return members.due(this.#nowMs).length > 0 ? "leaving" : "grace";
  }
}

for (const { behaviour, steps } of CASES) {
  Deno.test(behaviour, () => {
    const run = new Run();
    for (const [step, phase] of steps) {
      run.step(step);
      assert.equal(run.phase, phase, `after ${step}`);
    }
  });
}

Deno.test("a join that is processed after its session left is due at once", () => {
  const members = new LocalMembers();
  const join = members.startJoin("a", ann);
  const local = members.leave("a", ann, 0);
  assert.equal(local, join.local);
  members.markLeft(join.local);
  assert.equal(members.size, 0);
  assert.equal(members.resolveJoining(join.local, 5), join.local);
  members.markStored(join.local, "null", []);
  members.acceptJoin(join);
  assert.deepEqual(members.due(4), []);
  assert.deepEqual(members.due(5), [join.local]);
});

Deno.test("a refused member that may be stored is due at once", () => {
  const members = new LocalMembers();
  const join = members.startJoin("a", ann);
  members.markMaybeStored(join.local, undefined);
  members.refuseJoin(join, 5);
  assert.deepEqual(members.due(5), [join.local]);
  assert.equal(members.mayLeave(join.local, 5), true);
});

Deno.test("a member with a session may not leave", () => {
  const members = new LocalMembers();
  const { local } = members.startJoin("a", ann);
  assert.equal(members.mayLeave(local, Infinity), false);
});

Deno.test("a new member starts with the data null", () => {
  assert.equal(new LocalMembers().startJoin("a", ann).local.data, "null");
});
