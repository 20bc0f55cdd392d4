import assert from "node:assert/strict";
import { Channels } from "../../../../lib/client/connection/channels.ts";
import type { FeedListener } from "../../../../lib/client/core/link.ts";

const OFFSET = "0mwpu38co_0000000000000003";
const SILENT: FeedListener = { started() {}, event() {}, gap() {}, ephemeral() {}, ended() {} };

Deno.test("a reader that paused before the answer is wanted again when it resumes", () => {
  let changes = 0;
  const channels = new Channels(() => changes++);
  const feed = channels.add("a", OFFSET, SILENT);
  feed.pause();
  channels.started("a", OFFSET, OFFSET);
  assert.deepEqual(channels.wanted(), []);
  const before = changes;
  feed.resume();
  assert.equal(changes, before + 1);
  assert.equal(channels.wanted().length, 1);
});
