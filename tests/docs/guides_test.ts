import assert from "node:assert/strict";
import { publish } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";

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
  await using program = await Program.start("socket_io.ts", weir.url);
  await program.printed("earlier", "hello");
  await publish(weir.url, "room:7", "later");
  await program.printed("earlier", "hello", "later");
});

Deno.test("the page of the guide for Pusher shows what the backend publishes", async () => {
  await using weir = await WeirServer.start();
  await using page = await Program.start("pusher_page.ts", weir.url);
  await using backend = await Program.start("pusher_backend.ts", weir.url);
  assert.equal(await backend.exitCode, 0);
  await page.printed("7: 40");
  assert.equal((await readAll(weir.url, "orders"))[0]?.type, "created");
});

Deno.test("the program of the guide for Ably shows history, events and members", async () => {
  await using weir = await WeirServer.start();
  await publish(weir.url, "room:7", "earlier");
  await using program = await Program.start("ably.ts", weir.url);
  await program.printedInAnyOrder("earlier", "hello", "ann");
});

/** A program of the guides, with the URL of a test's server instead of the default. */
class Program implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #lines: string[] = [];
  #heard = Promise.withResolvers<void>();
  #isEnded = false;

  private constructor(process: Deno.ChildProcess, folder: string) {
    this.#process = process;
    this.#folder = folder;
    void this.#read();
  }

  static async start(file: string, url: string): Promise<Program> {
    const text = await Deno.readTextFile(new URL(file, EXAMPLES));
    const folder = await Deno.makeTempDir({ prefix: "weir_guide_" });
    await Deno.writeTextFile(`${folder}/${file}`, text.replaceAll("http://127.0.0.1:8000", url));
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net=127.0.0.1", "--config", CONFIG, `${folder}/${file}`],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    return new Program(process, folder);
  }

  get exitCode(): Promise<number> {
    return this.#process.status.then(({ code }) => code);
  }

  /** Resolves once the program has printed these lines, and no others. */
  printed(...lines: readonly string[]): Promise<void> {
    return this.#until(() => {
      assert.deepEqual(this.#lines, lines.slice(0, this.#lines.length));
      return this.#lines.length === lines.length;
    });
  }

  printedInAnyOrder(...lines: readonly string[]): Promise<void> {
    return this.#until(() => lines.every((line) => this.#lines.includes(line)));
  }

  async #until(isMet: () => boolean): Promise<void> {
    while (!isMet()) {
      if (this.#isEnded) throw new Error(`it ended after ${JSON.stringify(this.#lines)}`);
      await this.#heard.promise;
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    }
    this.#isEnded = true;
    this.#heard.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has exited by itself.
    }
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
