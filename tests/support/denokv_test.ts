import assert from "node:assert/strict";
import { Denokv, DENOKV_MISSING } from "./denokv.ts";

Deno.test("denokv keeps what it has over being killed and started again", {
  ignore: DENOKV_MISSING,
}, async () => {
  await using server = await Denokv.start();
  const kv = await server.openKv();
  await kv.set(["a"], 1);
  kv.close();
  await server.kill();
  await server.start();
  const again = await server.openKv();
  assert.equal((await again.get(["a"])).value, 1);
  again.close();
});
