import assert from "node:assert/strict";

const LOGGER = new URL("../../lib/logger.ts", import.meta.url);

for (
  const [what, code] of [
    ["thrown", `setTimeout(() => { throw new TypeError("lost") }, 1);`],
    ["rejected", `setTimeout(() => void Promise.reject(new TypeError("lost")), 1);`],
    ["thrown at the start", `throw new TypeError("lost");`],
  ] as const
) {
  Deno.test(`an uncaught error is logged and ends the process: ${what}`, async () => {
    const program = `
      import { createLogger, logUncaught } from "${LOGGER}";
      logUncaught(createLogger({ isPretty: false, write: (line) => console.log(line) }));
      ${code}`;
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", program],
      env: { DENO_LOG: "off" },
    }).output();
    assert.equal(success, false);
    const { level, error, detail } = JSON.parse(new TextDecoder().decode(stdout));
    assert.deepEqual([level, error, detail], ["error", "TypeError", "lost"]);
  });
}
