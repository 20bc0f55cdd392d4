import assert from "node:assert/strict";
import { openWhenThere } from "../../../lib/kv/open_when_there.ts";
import type { FileLoss } from "../../../lib/kv/store_file.ts";

/** Files that are opened, with a record of what happens. */
class Opening {
  readonly steps: string[] = [];
  readonly #losses: (FileLoss | undefined)[];

  /** @param losses what each look at the files finds. */
  constructor(losses: readonly (FileLoss | undefined)[]) {
    this.#losses = [...losses];
  }

  /** @param failures how many attempts fail. */
  run(failures = 0): Promise<unknown> {
    const file = {
      loss: () => {
        assert.ok(this.#losses.length > 0);
        return this.#losses.shift();
      },
    };
    const open = () => {
      this.steps.push("open");
      if (failures-- > 0) return Promise.reject(new Error("disk I/O error"));
      return Promise.resolve({ close: () => void this.steps.push("close") });
    };
    const wait = () => {
      this.steps.push("wait");
      return Promise.resolve();
    };
    return openWhenThere(file, open, wait);
  }
}

Deno.test("files that are at their paths are opened at once", async () => {
  const opening = new Opening([undefined, undefined]);
  await opening.run();
  assert.deepEqual(opening.steps, ["open"]);
});

Deno.test("files that are lost are opened once they are back", async () => {
  const opening = new Opening(["removed", "replaced", undefined, undefined]);
  await opening.run();
  assert.deepEqual(opening.steps, ["wait", "wait", "open"]);
});

Deno.test("what was opened in the place of files that were just removed is closed", async () => {
  const opening = new Opening([undefined, "replaced", "replaced", undefined, undefined]);
  await opening.run();
  assert.deepEqual(opening.steps, ["open", "close", "wait", "wait", "open"]);
});

Deno.test("a failure to open files that were just removed is ignored, and others are not", async () => {
  const opening = new Opening([undefined, "removed", undefined, undefined]);
  await opening.run(1);
  assert.deepEqual(opening.steps, ["open", "wait", "open"]);
  const failing = new Opening([undefined, undefined]);
  await assert.rejects(failing.run(1), /disk I\/O error/);
});
