import assert from "node:assert/strict";
import { readSource } from "./support/source_files.ts";

const ROOT = new URL("../", import.meta.url);
const PROBE = new URL("support/refusals.ts", import.meta.url).pathname;

Deno.test("the runtime refuses a server of deno task start what it does not need, such as writes outside its data", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir_permissions_" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.mkdir(`${folder}/data`);
  const files = [`${folder}/outside.txt`, `${folder}/data/inside.txt`];
  const { tasks } = JSON.parse(await readSource("deno.json"));
  const command: string = tasks.start.command.replace(" main.ts ", ` --preload=${PROBE} main.ts `);
  await using process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--eval", command],
    cwd: ROOT,
    env: {
      DENO_NO_UPDATE_CHECK: "1",
      WEIR_PORT: "0",
      WEIR_DATA: `${folder}/data`,
      WEIR_INTERNAL_FILES: files.join("|"),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  for await (const part of process.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("Weir listening on")) break;
  }
  const [outcomes = ""] = text.split("\n");
  assert.deepEqual(JSON.parse(outcomes), {
    "write outside": "refused",
    "write inside": "done",
    "write the code": "refused",
    "read outside": "refused",
    "read the code": "refused",
    "connect elsewhere": "refused",
    "listen elsewhere": "refused",
    "import from deno.land":
      'A remote specifier was requested: "https://deno.land/std@0.224.0/version.ts", but --no-remote is specified.',
    "run a program": "refused",
    "load a library": "refused",
    "ask for the machine": "refused",
    "read HOME": "undefined",
    "variables": "",
  });
  assert.equal(await Deno.readTextFile(`${folder}/data/inside.txt`), "x");
  await assert.rejects(Deno.stat(`${folder}/outside.txt`), Deno.errors.NotFound);
});
