import assert from "node:assert/strict";

/** Runs `work`, in which and right after which no rejection may go unhandled. */
async function withoutUnhandled(work: () => Promise<void>): Promise<void> {
  const reasons: unknown[] = [];
  const note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reasons.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", note);
  try {
    await work();
    // Rejections are looked at between two turns of the event loop.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve));
  } finally {
    globalThis.removeEventListener("unhandledrejection", note);
  }
  assert.deepEqual(reasons, [], "a rejection went unhandled");
}

/** A test of a client, in which no rejection may go unhandled. */
export function test(name: string, work: () => Promise<void>): void {
  Deno.test(name, () => withoutUnhandled(work));
}
