import assert from "node:assert/strict";
import { OPEN } from "../../../lib/auth/authority.ts";
import { Sessions } from "../../../lib/auth/sessions.ts";
import { Hub } from "../../../lib/hub/hub.ts";
import { longPoll } from "../../../lib/transports/long_poll.ts";
import { address } from "../../support/drafts.ts";
import { openEmbedded } from "../../support/log_stores.ts";

Deno.test("a long poll that comes while the server stops is answered with its cursor", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  await hub.close();
  const { signal } = new AbortController();
  const page = await longPoll(hub, "earliest", {
    addresses: [address("a")],
    limit: 10,
    wait: 60_000,
    signal,
    sessions: new Sessions(),
    authority: OPEN,
  });
  assert.equal(page.isEmpty, true);
  assert.equal(page.cursor, "000000000_0000000000000000");
});
