import assert from "node:assert/strict";
import { PeakMemory } from "../../bench/peak_memory.ts";
import { until } from "../support/until.ts";

const LARGE_KB = 256 * 1_024;

/** Takes 256 MiB at the first line of its input, and gives them back at the second. */
const PROGRAM = `
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  console.log("started");
  await lines.read();
  const large = new ArrayBuffer(${LARGE_KB} * 1024);
  new Uint8Array(large).fill(1);
  console.log("taken");
  await lines.read();
  large.transfer(0);
  console.log("given back");
  await lines.read();
`;

class Child implements AsyncDisposable {
  readonly #child = new Deno.Command(Deno.execPath(), {
    args: ["eval", PROGRAM],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  readonly #input = this.#child.stdin.getWriter();
  readonly #output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();

  readonly pid = this.#child.pid;

  /** Waits for its next line. */
  async says(line: string): Promise<void> {
    assert.equal((await this.#output.read()).value?.trim(), line);
  }

  async continue(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}

const refuse = () => {
  throw new Deno.errors.PermissionDenied("not allowed");
};

for (
  const [how, reset] of [["kept by the kernel", undefined], ["sampled", refuse]] as const
) {
  Deno.test(`the peak counts from the start on (${how})`, async () => {
    await using child = new Child();
    await child.says("started");
    using peak = new PeakMemory([child.pid], ...reset === undefined ? [] : [reset]);
    peak.start();
    assert.ok(peak.read() < LARGE_KB, `${peak.read()} KB at the start`);
    await child.continue();
    await child.says("taken");
    await until("it has a sample", () => peak.read() >= LARGE_KB);
    await child.continue();
    await child.says("given back");
    assert.ok(peak.read() >= LARGE_KB, "what was given back counts");
    peak.start();
    assert.ok(peak.read() < LARGE_KB, `${peak.read()} KB after another start`);
  });
}

Deno.test("an error other than a refusal is thrown", () => {
  using peak = new PeakMemory([Deno.pid], () => {
    throw new TypeError("broken");
  });
  assert.throws(() => peak.start(), /broken/);
});
