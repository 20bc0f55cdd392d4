import assert from "node:assert/strict";
import { OpenResponses } from "../../../lib/transports/open_responses.ts";

Deno.test("a connection counts until its stream has ended and its response is sent", async () => {
  const responses = new OpenResponses();
  const { promise, resolve } = Promise.withResolvers<void>();
  let isCounted = true;
  const connection = { [Symbol.dispose]: () => void (isCounted = false) };
  responses.untilSent(promise, connection)[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isCounted, true);
  resolve();
  await promise;
  assert.equal(isCounted, false);
});

Deno.test("a client that leaves before its stream has ended no longer counts", async () => {
  const responses = new OpenResponses();
  let isCounted = true;
  const connection = { [Symbol.dispose]: () => void (isCounted = false) };
  const handle = responses.untilSent(Promise.reject(new Error("it has left")), connection);
  handle[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isCounted, false);
});

Deno.test("where the platform doesn't tell when a response is sent, the stream's end counts", () => {
  let isCounted = true;
  const connection = { [Symbol.dispose]: () => void (isCounted = false) };
  new OpenResponses().untilSent(undefined, connection)[Symbol.dispose]();
  assert.equal(isCounted, false);
});
