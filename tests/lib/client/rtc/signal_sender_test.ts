import assert from "node:assert/strict";
import type { Call } from "../../../../lib/client/core/link.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import type { Signal } from "../../../../lib/client/rtc/signal.ts";
import { SignalSender } from "../../../../lib/client/rtc/signal_sender.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { until } from "../../../support/until.ts";

const ROUTE = { channel: "call", member: "ann", session: "s1", to: "bob", toSession: "s2" };

function candidate(n: number, id = "a"): Signal {
  return { connection: 0, id, n, candidates: [{ candidate: `candidate:${n}` }] };
}

/** What was sent, as the number of each signal and its candidates. */
function sentOver({ calls }: FakeLink): readonly (readonly [number, number])[] {
  return calls.map((call) => {
    const { n, candidates = [] } = (call as Call & { readonly data: Signal }).data;
    return [n, candidates.length];
  });
}

function makeSender(
  link: FakeLink,
): { readonly sender: SignalSender; readonly errors: readonly WeirError[] } {
  const errors: WeirError[] = [];
  return { sender: new SignalSender(link, ROUTE, (error) => errors.push(error)), errors };
}

Deno.test("signals are sent one after the other, and candidates that wait together", async () => {
  let answer = () => {};
  const link = new FakeLink(() => new Promise((resolve) => answer = () => resolve({})));
  const { sender } = makeSender(link);
  const description = { type: "offer", sdp: "" } as const;
  sender.send({ connection: 0, id: "a", n: 1, description });
  for (const n of [2, 3]) sender.send(candidate(n));
  sender.send({ connection: 0, id: "a", n: 4, description });
  for (const n of [5, 6]) sender.send(candidate(n));
  sender.send({ connection: 0, id: "a", n: 7, end: true });
  sender.send(candidate(1, "b")); // another RTCPeerConnection
  for (const count of [1, 2, 3]) {
    await until("one is under way", () => link.calls.length === count);
    answer();
  }
  await until("all are sent", () => link.calls.length === 3);
  assert.deepEqual(sentOver(link), [[3, 2], [7, 2], [1, 1]]);
  assert.deepEqual(link.calls[0], {
    op: "signal",
    ...ROUTE,
    data: {
      connection: 0,
      id: "a",
      n: 3,
      description,
      candidates: [{ candidate: "candidate:2" }, { candidate: "candidate:3" }],
    },
  });
});

Deno.test("a signal is sent again, in its place, until the server has it", async () => {
  let refusals = 0;
  const link = new FakeLink(() => {
    if (++refusals === 1) throw new WeirError("not_a_member", "Enter first.", { status: 409 });
    return {};
  });
  const { sender, errors } = makeSender(link);
  link.lose();
  sender.send(candidate(1));
  sender.send(candidate(1, "b"));
  link.reconnect();
  await until("both are sent", () => link.calls.length === 3);
  assert.deepEqual(link.calls.map((call) => (call as Call & { data: Signal }).data.id), [
    "a",
    "a",
    "b",
  ]);
  assert.deepEqual(errors, []);
});

Deno.test("signals to a session that has left are dropped, and other errors are reported", async () => {
  const answers = ["no_such_member", "signal_too_large"];
  const link = new FakeLink(() => {
    throw new WeirError(answers.shift() ?? "closed", "No.", { status: 404 });
  });
  const { sender, errors } = makeSender(link);
  sender.send(candidate(1));
  sender.send(candidate(1, "b"));
  await until("the first is refused", () => answers.length === 1);
  sender.send(candidate(2));
  await until("the next is refused", () => errors.length === 1);
  assert.deepEqual(errors.map(({ code }) => code), ["signal_too_large"]);
  sender.close();
  sender.send(candidate(3));
  assert.equal(link.calls.length, 2);
});
