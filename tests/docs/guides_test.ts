import assert from "node:assert/strict";
import { type LineProgram, startProgram } from "../support/line_program.ts";
import { publish } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const ROOT = new URL("../../", import.meta.url);
const EXAMPLES = new URL("examples/guides/", ROOT);
const CONFIG = new URL("deno.json", ROOT).pathname;

Deno.test("the guides contain each file of examples/guides unchanged", async () => {
  const pages: string[] = [];
  for (const name of ["socket_io.md", "pusher_and_ably.md"]) {
    pages.push(await Deno.readTextFile(new URL(`docs/guides/${name}`, ROOT)));
  }
  const blocks = [...pages.join("").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text);
  const files: string[] = [];
  for await (const { name } of Deno.readDir(EXAMPLES)) {
    const text = await Deno.readTextFile(new URL(name, EXAMPLES));
    files.push(text.replace(/^\/\/ deno-lint-ignore-file .*\n/, "")); // it is for the linter only
  }
  assert.deepEqual(blocks.toSorted(), files.toSorted());
});

Deno.test("the program of the guide for Socket.IO shows its own message and those of others", async () => {
  await using weir = await WeirServer.start();
  await publish(weir.url, "room:7", "earlier");
  await using program = await start("socket_io.ts", weir.url);
  await printed(program, "earlier", "hello");
  await publish(weir.url, "room:7", "later");
  await printed(program, "earlier", "hello", "later");
});

Deno.test("the page of the guide for Pusher shows what the backend publishes", async () => {
  await using weir = await WeirServer.start();
  await using page = await start("pusher_page.ts", weir.url);
  await using backend = await start("pusher_backend.ts", weir.url);
  assert.equal(await backend.exitCode, 0);
  await printed(page, "7: 40");
  assert.equal((await readAll(weir.url, "orders"))[0]?.type, "created");
});

Deno.test("the program of the guide for Ably shows history, events and members", async () => {
  await using weir = await WeirServer.start();
  await publish(weir.url, "room:7", "earlier");
  await using program = await start("ably.ts", weir.url);
  await until(
    "it has shown all",
    () => ["earlier", "hello", "ann"].every((line) => program.lines.includes(line)),
  );
});

/** Starts a program of the guides, with the URL of a test's server instead of the default. */
async function start(file: string, url: string): Promise<LineProgram> {
  const text = await Deno.readTextFile(new URL(file, EXAMPLES));
  const folder = await Deno.makeTempDir({ prefix: "weir_guide_" });
  await Deno.writeTextFile(`${folder}/${file}`, text.replaceAll("http://127.0.0.1:8000", url));
  const run = [Deno.execPath(), "run", "--allow-net=127.0.0.1", "--config", CONFIG];
  const program = startProgram([...run, `${folder}/${file}`]);
  return {
    get lines() {
      return program.lines;
    },
    errors: program.errors,
    exitCode: program.exitCode,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Resolves once the program has printed these lines, and no others. */
async function printed(program: LineProgram, ...expected: readonly string[]): Promise<void> {
  await until(`it has printed ${expected}`, () => {
    assert.deepEqual(program.lines, expected.slice(0, program.lines.length), program.errors());
    return program.lines.length === expected.length;
  });
}
