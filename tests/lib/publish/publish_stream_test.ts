import assert from "node:assert/strict";
import fc from "fast-check";
import type { AppendedEvent, Draft } from "../../../lib/log/log.ts";
import { parseJsonEvent } from "../../../lib/publish/json_body.ts";
import { PublishStream } from "../../../lib/publish/publish_stream.ts";
import { channelOf, DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { formatOffset, ORIGIN } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { until } from "../../support/until.ts";

type Options = ConstructorParameters<typeof PublishStream>[0];

/** A line of an answer. */
interface Line {
  readonly index?: number;
  readonly channel?: string;
  readonly offset?: string;
  readonly code?: string;
}

const utf8 = new TextEncoder();

/** A stream into a log in memory. */
function world(overrides: Partial<Options> = {}) {
  const stored: string[] = [];
  const refused: unknown[] = [];
  const abort = new AbortController();
  const body = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, {
    highWaterMark: 0,
  });
  const writer = body.writable.getWriter();
  let wasCancelled = false;
  const options: Options = {
    chunks: body.readable,
    parse: (line) => parseJsonEvent({ tenant: DEFAULT_TENANT, publisher: undefined }, line),
    admit() {},
    append: (drafts) => Promise.resolve(drafts.map((draft) => append(draft))),
    publishEphemeral() {},
    hold() {},
    onRefused: (cause) => refused.push(cause),
    onCancel: () => wasCancelled = true,
    signal: abort.signal,
    ...overrides,
  };
  const append = ({ channelKey, data, id }: Draft): AppendedEvent => {
    const sequence = stored.push(`${channelOf(channelKey)} ${data}`);
    const offset = formatOffset(ORIGIN.epoch, sequence);
    return { offset, id: id ?? offset, duplicate: false };
  };
  const stream = new PublishStream(options);
  return {
    stored,
    refused,
    abort,
    append,
    stream,
    get wasCancelled() {
      return wasCancelled;
    },
    write: (text: string) => writer.write(utf8.encode(text)),
    close: () => writer.close(),
    fail: (cause: unknown) => writer.abort(cause),
  };
}

async function linesOf(answers: ReadableStream<Uint8Array>): Promise<readonly Line[]> {
  const text = await new Response(answers).text();
  return text.trimEnd().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("PublishStream answers each line in order, refused ones too, and skips blank ones", async () => {
  const { stream, stored, refused, write, close } = world();
  const lines = linesOf(stream.answers);
  await write('{"channel":"a","data":1}\n\n{"channel":"a","data":2}\r\nno\n{"channel":"b","da');
  await write('ta":3,"id":"x"}\n{"channel":"a","data":4,"type":"weir.x"}\n  \n');
  await write('{"channel":"b","data":5,"ephemeral":true}\n{"channel":"a","data":6}');
  await close();
  assert.deepEqual((await lines).map(({ index, channel, code }) => [index, code ?? channel]), [
    [0, "a"],
    [1, "a"],
    [2, "bad_json"],
    [3, "b"],
    [4, "bad_event_type"],
    [5, "b"],
    [6, "a"],
  ]);
  assert.deepEqual(stored, ["a 1", "a 2", "b 3", "a 6"]);
  assert.equal(refused.length, 2);
});

Deno.test("PublishStream keeps the order of each channel, wherever lines are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          channel: fc.constantFrom("a", "b", "c"),
          hasId: fc.boolean(),
          isBad: fc.nat({ max: 9 }).map((n) => n === 0),
        }),
        { maxLength: 300 },
      ),
      fc.integer({ min: 1, max: 700 }),
      async (events, size) => {
        const { stream, stored, write, close } = world();
        const lines = linesOf(stream.answers);
        const text = events.map(({ channel, hasId, isBad }, data) =>
          isBad ? "{}" : JSON.stringify({ channel, data, ...hasId && { id: `event ${data}` } })
        ).join("\n");
        for (let at = 0; at < text.length; at += size) await write(text.slice(at, at + size));
        await close();
        const answers = await lines;
        assert.deepEqual(answers.map(({ index }) => index), events.map((_, i) => i));
        assert.deepEqual(
          answers.map(({ code }) => code !== undefined),
          events.map(({ isBad }) => isBad),
        );
        assert.deepEqual(
          stored,
          events.flatMap(({ channel, isBad }, data) => isBad ? [] : [`${channel} ${data}`]),
        );
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("PublishStream reads no further while the store takes nothing", async () => {
  const held: (() => void)[] = [];
  const { stream, stored, append, write, close } = world({
    append: (drafts) =>
      new Promise((resolve) => held.push(() => resolve(drafts.map((draft) => append(draft))))),
  });
  const lines = linesOf(stream.answers);
  const EVENTS = 30_000;
  let written = 0;
  const writing = (async () => {
    for (; written < EVENTS; written += 100) {
      await write('{"channel":"a","data":1}\n'.repeat(100));
    }
    await close();
  })();
  let before = -1;
  await until("it has stopped to read", () => {
    const hasStopped = written === before && held.length > 0;
    before = written;
    return hasStopped;
  });
  assert.ok(written < 9_000, `${written} events were read`);
  const release = setInterval(() => {
    for (const resolve of held.splice(0)) resolve();
  }, 1);
  assert.equal((await lines).length, EVENTS);
  clearInterval(release);
  await writing;
  assert.equal(stored.length, EVENTS);
});

Deno.test("PublishStream reads no further while its answers are not read", async () => {
  const { stream, write, close } = world();
  const EVENTS = 30_000;
  let written = 0;
  const writing = (async () => {
    for (; written < EVENTS; written += 100) {
      await write('{"channel":"a","data":1}\n'.repeat(100));
    }
    await close();
  })();
  let before = -1;
  await until("it has stopped to read", () => {
    const hasStopped = written === before && written > 0;
    before = written;
    return hasStopped;
  });
  assert.ok(written < 18_000, `${written} events were read`);
  assert.equal((await linesOf(stream.answers)).length, EVENTS);
  await writing;
});

Deno.test("PublishStream waits where a limit is reached, and loses nothing", async () => {
  let refusals = 3;
  const { stream, stored, refused, write, close } = world({
    admit({ data }) {
      if (data !== "2" || refusals-- <= 0) return;
      throw new Problem("rate_limited", "Too fast.", { retryAfterMs: 2 });
    },
  });
  const lines = linesOf(stream.answers);
  await write('{"channel":"a","data":1}\n{"channel":"a","data":2}\n{"channel":"a","data":3}\n');
  await close();
  assert.deepEqual((await lines).map(({ index, code }) => [index, code]), [
    [0, undefined],
    [1, undefined],
    [2, undefined],
  ]);
  assert.deepEqual(stored, ["a 1", "a 2", "a 3"]);
  assert.deepEqual(refused, []);
});

Deno.test("PublishStream answers all that it has read when the body breaks off", async () => {
  const { stream, stored, write, fail } = world();
  const lines = linesOf(stream.answers);
  await write('{"channel":"a","data":1}\n{"channel":"a","data":2}\n{"channel":"a","da');
  await fail(new Problem("body_incomplete", "It broke off."));
  assert.deepEqual((await lines).map(({ index, code }) => [index, code]), [
    [0, undefined],
    [1, undefined],
    [undefined, "body_incomplete"],
  ]);
  assert.deepEqual(stored, ["a 1", "a 2"]);
});

Deno.test("PublishStream ends after a line that is too long, and says at which event", async () => {
  const { stream, stored, write } = world();
  const lines = linesOf(stream.answers);
  await write('{"channel":"a","data":1}\n');
  await write("x".repeat(1_100_000)).catch(() => {}); // the body is not read to its end
  assert.deepEqual((await lines).map(({ index, code }) => [index, code]), [
    [0, undefined],
    [1, "event_too_large"],
  ]);
  assert.deepEqual(stored, ["a 1"]);
});

Deno.test("PublishStream answers all events that are refused together, and continues", async () => {
  let calls = 0;
  const { stream, stored, refused, append, write, close } = world({
    append: (drafts) =>
      calls++ === 0
        ? Promise.reject(new Problem("storage_unavailable", "The store is away."))
        : Promise.resolve(drafts.map((draft) => append(draft))),
  });
  const lines = linesOf(stream.answers);
  await write('{"channel":"a","data":1}\n{"channel":"a","data":2}\n');
  await write('{"channel":"b","data":3}\n');
  await close();
  assert.deepEqual((await lines).map(({ index, code }) => [index, code]), [
    [0, "storage_unavailable"],
    [1, "storage_unavailable"],
    [2, undefined],
  ]);
  assert.deepEqual(stored, ["b 3"]);
  assert.equal(refused.length, 2);
});

Deno.test("PublishStream stops when the client wants no more answers", async () => {
  const weir = world();
  await weir.write('{"channel":"a","data":1}\n');
  await until("it is stored", () => weir.stored.length === 1);
  await weir.stream.answers.cancel();
  assert.equal(weir.wasCancelled, true);
});
