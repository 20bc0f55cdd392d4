import assert from "node:assert/strict";
import type { CallOptions } from "../../../../lib/client/connection/modules.ts";
import type { ConnectionContext } from "../../../../lib/client/connection/transport.ts";
import { makeCall } from "../../../../lib/client/transports/calls.ts";

Deno.test("an ephemeral event with an id, a key or a time to live is refused before it is sent", async () => {
  const unused = {} as ConnectionContext & CallOptions;
  for (const member of [{ id: "x" }, { id: "" }, { key: "k" }, { ttl: 0 }]) {
    const call = { op: "ephemeral", channel: "a", data: 1, ...member } as const;
    await assert.rejects(makeCall(unused, call, unused), { code: "bad_parameter" });
  }
});
