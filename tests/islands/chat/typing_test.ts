import assert from "node:assert/strict";
import {
  SEND_INTERVAL_MS,
  SHOW_MS,
  TypingSender,
  typingText,
  Typists,
} from "../../../islands/chat/typing.ts";
import { FakeClock } from "../../support/clock.ts";

Deno.test("typing events are sent at most once every two seconds", () => {
  let said = 0;
  const notes = new TypingSender(() => said++);
  for (let now = 0; now < 3 * SEND_INTERVAL_MS; now += 100) notes.typed(now);
  assert.equal(said, 3);
  notes.typed(3 * SEND_INTERVAL_MS - 1);
  assert.equal(said, 3);
  notes.reset(); // the next message is another one
  notes.typed(3 * SEND_INTERVAL_MS - 1);
  assert.equal(said, 4);
});

Deno.test("a typist is shown for four seconds after each typing event", () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  using typists = new Typists();
  typists.types("a", "Ann");
  clock.advance(SHOW_MS - 1);
  typists.types("a", "Ann");
  typists.types("b", "Bob");
  clock.advance(SHOW_MS - 1);
  assert.deepEqual(typists.names.value, ["Ann", "Bob"]);
  clock.advance(1);
  assert.deepEqual(typists.names.value, []);
  assert.equal(clock.timers, 0);
});

Deno.test("a person stops typing when their message arrives", () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  {
    using typists = new Typists();
    typists.types("a", "Ann");
    typists.types("b", "Bob");
    typists.said("Ann");
    assert.deepEqual(typists.names.value, ["Bob"]);
  }
  assert.equal(clock.timers, 0);
});

Deno.test("up to three typists are named", () => {
  assert.equal(typingText([]), "");
  assert.equal(typingText(["Ann"]), "Ann is typing…");
  assert.equal(typingText(["Ann", "Bob"]), "Ann and Bob are typing…");
  assert.equal(typingText(["Ann", "Bob", "Cid"]), "Ann, Bob and Cid are typing…");
  assert.equal(typingText(["Ann", "Bob", "Cid", "Dee"]), "Several people are typing…");
});
