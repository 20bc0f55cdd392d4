import assert from "node:assert/strict";
import fc from "fast-check";
import { may, mayRead, type Rights } from "../../islands/rights.ts";
import { Authority } from "../../lib/auth/authority.ts";
import { parseReadableChannel, type Tenant } from "../../lib/shared/channel.ts";

Deno.test("may() and mayRead() agree with the server", () => {
  const parts = fc.constantFrom("a", "b", ".", "(", "+", ":", "/", "*", "**", "é", "😀");
  const patterns = fc.array(
    fc.tuple(fc.constantFrom("", "$"), fc.array(parts, { minLength: 1, maxLength: 6 }))
      .map(([start, rest]) => start + rest.join(""))
      .filter((pattern) => !pattern.includes("***")),
    { maxLength: 4 },
  );
  const names = fc.oneof(
    fc.array(parts.filter((part) => !part.includes("*")), { minLength: 1, maxLength: 7 })
      .map((all) => all.join(""))
      .filter((name) => name !== "." && name !== ".."), // not channels
    fc.constantFrom("$audit", "$figures", "$presence:a", "$presence:a/b"),
  );
  fc.assert(
    fc.property(patterns, patterns, names, (subscribe, presence, name) => {
      const rights: Rights = { publish: [], subscribe, presence, manage: [] };
      const authority = new Authority({
        tenant: "default" as Tenant,
        kind: "token",
        scope: {
          publish: [],
          subscribe,
          presence,
          manage: [],
          admin: false,
          metrics: false,
          limits: {},
        },
      });
      const channel = parseReadableChannel(name);
      assert.equal(may(rights, "subscribe", name), authority.may("subscribe", channel));
      assert.equal(mayRead(rights, name), authority.mayRead(channel));
    }),
    { numRuns: 2_000 },
  );
});
