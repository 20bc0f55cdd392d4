import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { ConfigError, parseConfig } from "../../lib/config.ts";
import { draftOfBody, draftOfPublication } from "../../lib/publish/draft.ts";
import { decodeUtf8, parseJson } from "../../lib/publish/json.ts";
import { DEFAULT_TENANT, parseChannel } from "../../lib/shared/channel.ts";
import { parseAfter, parseCursor } from "../../lib/shared/cursor.ts";
import { parseEventId, parseEventKey, parseEventType } from "../../lib/shared/event.ts";
import { parseOffset } from "../../lib/shared/offset.ts";
import { Problem } from "../../lib/shared/problem.ts";
import { parseMessage } from "../../lib/transports/messages/message.ts";
import { integer, parseChannels, parsePathChannel, parseQuery } from "../../routes/query.ts";
import { testChannelKey } from "../support/drafts.ts";

const RUNS = { numRuns: 2_000 };

/** Text of every kind, including lone surrogates, control characters and nearly valid input. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.stringMatching(/^[0-9a-z]{8,10}_[0-9]{15,17}$/),
  fc.stringMatching(/^v[A-Za-z0-9_-]{0,80}$/),
  fc.constantFrom("", "v", "_", "$", "weir.", "earliest", "latest", "%", "%00", "\u0000", "\ud800"),
);
const json = fc.oneof(text, fc.json(), fc.jsonValue().map((value) => JSON.stringify(value)));
const channels = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 5 })
  .map((names) => names.sort().map(parseChannel));

const PRODUCER = { tenant: DEFAULT_TENANT, publisher: undefined };
const schema = z.object({ limit: integer(1, 10).optional(), after: z.string().optional() });

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseChannel,
  parseOffset,
  parseEventType,
  parseEventId,
  parseEventKey,
  parseJson,
  parsePathChannel: (text) => parsePathChannel(DEFAULT_TENANT, `/v1/channels/${text}/events`),
  parseChannels: (text) => parseChannels(DEFAULT_TENANT, text.split(",")),
  parseQuery: (text) => parseQuery(new URLSearchParams(text), schema, ["channel"]),
  draftOfPublication: (text) =>
    draftOfPublication(PRODUCER, { channel: text, data: text, type: text, id: text }),
};

for (const [name, parse] of Object.entries(PARSERS)) {
  Deno.test(`${name}() accepts any text or throws a Problem`, () => {
    fc.assert(fc.property(json, (text) => onlyProblems(() => parse(text))), RUNS);
  });
}

Deno.test("parseCursor() and parseAfter() accept any text or throw a Problem", () => {
  fc.assert(
    fc.property(text, channels, (text, channels) => {
      onlyProblems(() => parseCursor(text, channels));
      onlyProblems(() => parseAfter(text, channels));
    }),
    RUNS,
  );
});

Deno.test("parseCursor() accepts any damaged cursor or throws a Problem", () => {
  const vector = fc.tuple(fc.uint8Array({ maxLength: 40 }), channels);
  fc.assert(
    fc.property(vector, ([bytes, channels]) => {
      const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
      onlyProblems(() => parseCursor(`v${text}`, channels));
    }),
    RUNS,
  );
});

Deno.test("draftOfBody() accepts any bytes or throws a Problem", async () => {
  const type = fc.oneof(
    fc.constantFrom("application/json", "text/plain; charset=utf-8", "a/b+json", "image/png"),
    text,
  );
  const target = { channelKey: testChannelKey("a"), publisher: undefined };
  const isProblem = (cause: unknown) => assert.ok(cause instanceof Problem, String(cause));
  await fc.assert(
    fc.asyncProperty(type, fc.uint8Array({ maxLength: 100 }), text, async (type, bytes, name) => {
      onlyProblems(() => decodeUtf8(bytes));
      await draftOfBody(target, type, bytes, {}).catch(isProblem);
      const names = { type: name, id: name };
      await draftOfBody(target, undefined, bytes, names).catch(isProblem);
    }),
    RUNS,
  );
});

Deno.test("parseMessage() returns a message or a refusal for any line", () => {
  const op = fc.constantFrom(
    "subscribe",
    "unsubscribe",
    "publish",
    "ping",
    "toString",
    "__proto__",
  );
  const near = fc.record({
    op: fc.oneof(op, fc.jsonValue()),
    ref: fc.jsonValue(),
    channel: fc.jsonValue(),
    channels: fc.jsonValue(),
    data: fc.jsonValue(),
  }, { requiredKeys: [] }).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(json, near), (line) => {
      const message = parseMessage(line);
      assert.ok("problem" in message ? message.problem instanceof Problem : message.op);
    }),
    RUNS,
  );
});

Deno.test("parseConfig() accepts any environment or throws a ConfigError", () => {
  const name = fc.constantFrom(
    "WEIR_HOST",
    "WEIR_PORT",
    "WEIR_KV",
    "WEIR_DATA",
    "WEIR_HEARTBEAT",
    "WEIR_ORIGINS",
    "WEIR_RETENTION_AGE",
    "WEIR_RETENTION_BYTES",
    "WEIR_OTHER",
    "PATH",
  );
  const value = fc.oneof(text, fc.stringMatching(/^\d{1,20}(ms|s|m|h|d|KiB|GiB)?$/));
  fc.assert(
    fc.property(fc.dictionary(name, value), (env) => {
      try {
        parseConfig(env);
      } catch (cause) {
        if (!(cause instanceof ConfigError)) throw cause;
      }
    }),
    RUNS,
  );
});

function onlyProblems(parse: () => unknown): void {
  try {
    parse();
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
  }
}
