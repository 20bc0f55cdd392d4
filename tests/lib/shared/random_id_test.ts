import assert from "node:assert/strict";
import { randomId } from "../../../lib/shared/random_id.ts";

Deno.test("randomId() returns 32 hexadecimal digits, each time others", () => {
  const ids = Array.from({ length: 100 }, randomId);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(new Set(ids).size, ids.length);
});
