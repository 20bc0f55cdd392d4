import assert from "node:assert/strict";

/** A Web Worker as in browsers: with `navigator.onLine`, without a document. */
const WORKER = `
  Object.defineProperty(Object.getPrototypeOf(navigator), "onLine", { value: true });
  const { PLATFORM } = await import("${
  import.meta.resolve("../../../../lib/client/core/platform.ts")
}");
  const heard = [];
  const end = PLATFORM.watch(({ type }) => heard.push(type));
  for (const type of ["online", "offline"]) globalThis.dispatchEvent(new Event(type));
  end();
  globalThis.dispatchEvent(new Event("online"));
  postMessage(heard);
`;

Deno.test("a Web Worker, which has no document, notices network changes", async () => {
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const heard = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = reject;
  });
  worker.terminate();
  URL.revokeObjectURL(url);
  assert.deepEqual(heard, ["online", "offline"]);
});
