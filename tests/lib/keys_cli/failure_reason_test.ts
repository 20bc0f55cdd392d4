import assert from "node:assert/strict";
import { failureReason } from "../../../lib/keys_cli/failure_reason.ts";
import { freePort } from "../../support/free_port.ts";

async function reasonOf(failing: Promise<unknown>): Promise<string> {
  return await failing.then(() => assert.fail(), failureReason);
}

Deno.test("the reason of a failed request is the one of its connection, without the URL", async () => {
  const url = `http://user:secret@127.0.0.1:${freePort()}/path`;
  assert.match(await reasonOf(fetch(url)), /^[^/]*Connection refused$/);
  using closing = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = closing.accept().then((connection) => connection.close());
  assert.match(await reasonOf(fetch(`https://127.0.0.1:${closing.addr.port}/`)), /^tls [^/]*$/);
  await accepted;
  const timeout = new DOMException("Signal timed out.", "TimeoutError");
  assert.equal(failureReason(timeout), "Signal timed out");
});

Deno.test("the reason of a failed access to a file is what the system says", async () => {
  assert.equal(await reasonOf(Deno.open("/none/it's")), "No such file or directory");
  const { pathname } = new URL(import.meta.url); // a file
  assert.equal(await reasonOf(Deno.open(`${pathname}/a`)), "Not a directory");
  assert.equal(failureReason("text"), "unknown");
});
