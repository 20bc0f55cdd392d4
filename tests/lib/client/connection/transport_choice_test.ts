import assert from "node:assert/strict";
import { TransportChoice } from "../../../../lib/client/connection/transport_choice.ts";
import { type TransportName, TRANSPORTS } from "../../../../lib/client/core/state.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { timeoutError } from "../../../../lib/shared/async/deadline.ts";

const UNREACHABLE = { error: new WeirError("unreachable", "") };
const TIMEOUT = { error: new WeirError("unreachable", "", { cause: timeoutError(1) }) };

function makeChoice(names: readonly TransportName[] = TRANSPORTS): TransportChoice {
  return new TransportChoice(names.map((name) => ({ name, open: () => Promise.reject() })));
}

for (
  const [name, end, index, failures, expected] of [
    ["a WebSocket that fails", UNREACHABLE, 0, 0, true],
    ["HTTP that times out", TIMEOUT, 1, 0, true],
    ["HTTP without an answer, at first", UNREACHABLE, 1, 0, false],
    ["HTTP without an answer, after more failures", UNREACHABLE, 1, 1, true],
    ["an answer that is not Weir's", { error: new WeirError("bad_answer", "") }, 0, 0, true],
    ["a refusal", { error: new WeirError("forbidden_origin", "") }, 0, 9, false],
  ] as const
) {
  Deno.test(`after ${name} the next transport is ${expected ? "" : "not "}tried`, () => {
    assert.equal(makeChoice().shouldTryNext(end, index, failures), expected);
  });
}

Deno.test("three short connections in a row, or one that times out, lead to the next transport", () => {
  const choice = makeChoice();
  choice.connectionEnded(0, UNREACHABLE, false);
  choice.connectionEnded(0, UNREACHABLE, false);
  choice.connectionEnded(0, UNREACHABLE, true); // not in a row
  choice.connectionEnded(0, UNREACHABLE, false);
  choice.connectionEnded(0, UNREACHABLE, false);
  assert.equal(choice.first, 0);
  choice.connectionEnded(0, UNREACHABLE, false);
  assert.equal(choice.first, 1);
  choice.connectionEnded(1, TIMEOUT, true);
  assert.equal(choice.first, 2);
  choice.connectionEnded(3, TIMEOUT, true);
  assert.equal(choice.first, 3); // the last one stays
});

Deno.test("after a WebTransport that fails the next transport is tried, as its own answer may say why", () => {
  const choice = makeChoice(["webtransport", "sse", "long-poll"]);
  assert.equal(choice.shouldTryNext(UNREACHABLE, 0, 0), true);
  assert.equal(choice.wasAway, false);
  assert.equal(choice.shouldTryNext(UNREACHABLE, 1, 0), false);
});
