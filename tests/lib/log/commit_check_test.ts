import assert from "node:assert/strict";
import { independentOf } from "../../../lib/log/commit_check.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { pendingAppend } from "../../support/pending_appends.ts";

/** Returns the independent ones of appends to these channels, such as "a" and "a b". */
function independent(moved: readonly string[], channels: readonly string[]): readonly string[] {
  const group = channels.map((names) =>
    pendingAppend(...names.split(" ").map((name) => draft(name, "1")))
  );
  const found = independentOf(new Set(moved.map(testChannelKey)), group);
  return found.map((pending) => channels[group.indexOf(pending)] ?? "");
}

Deno.test("independentOf() returns the appends without a moved channel, in order", () => {
  assert.deepEqual(independent(["a"], ["b", "a", "c", "a b c", "d"]), ["d"]);
  assert.deepEqual(independent(["a"], ["b", "a", "c", "b"]), ["b", "c", "b"]);
});

Deno.test("independentOf() leaves out appends that share a channel with a dependent one", () => {
  assert.deepEqual(independent(["a"], ["d", "c d", "b c", "a b", "e"]), ["e"]);
});

Deno.test("independentOf() returns all or none if all or none of the channels have moved", () => {
  assert.deepEqual(independent([], ["a", "a b"]), ["a", "a b"]);
  assert.deepEqual(independent(["x"], ["a", "a b"]), ["a", "a b"]);
  assert.deepEqual(independent(["a", "b"], ["a", "a b"]), []);
});
