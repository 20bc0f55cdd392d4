import assert from "node:assert/strict";

/** Runs `work`, and fails if a rejection stays unhandled during it or right after it. */
async function withoutUnhandled(work: () => Promise<void>): Promise<void> {
  const reasons: unknown[] = [];
  const note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reasons.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", note);
  try {
    await work();
    // Unhandled rejections are reported between two turns of the event loop.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve));
  } finally {
    globalThis.removeEventListener("unhandledrejection", note);
  }
  assert.deepEqual(reasons, [], "a rejection went unhandled");
}

/** Declares a test that fails if a rejection stays unhandled. */
export function test(name: string, work: () => Promise<void>): void {
  Deno.test(name, () => withoutUnhandled(work));
}
