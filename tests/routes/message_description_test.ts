// @ts-types="../support/asyncapi_parser.d.ts"
import { Parser } from "@asyncapi/parser";
import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { asyncApi } from "../../routes/api_description/asyncapi.ts";
import { serverMessages, systemEvents } from "../../routes/api_description/messages.ts";
import { clientMessages } from "../../lib/transports/messages/message.ts";

interface Message {
  readonly summary: string;
  readonly payload: {
    readonly properties: Readonly<Record<string, { readonly description?: string }>>;
  };
  readonly examples: readonly { readonly payload: unknown }[];
}

const DESCRIPTION = asyncApi();
const { messages } = DESCRIPTION["components"] as {
  readonly messages: Readonly<Record<string, Message>>;
};

Deno.test("the description of messages is valid AsyncAPI 3", async () => {
  const { document, diagnostics } = await new Parser().parse(JSON.stringify(DESCRIPTION));
  const errors = diagnostics.filter(({ severity }) => severity === 0);
  assert.deepEqual(errors, []);
  assert.equal(document?.version(), "3.0.0");
});

Deno.test("a description of messages with a mistake is not valid", async () => {
  const wrong = { ...DESCRIPTION, channels: { socket: { messages: { none: { $ref: "#/no" } } } } };
  const { diagnostics } = await new Parser().parse(JSON.stringify(wrong));
  assert.ok(diagnostics.some(({ severity }) => severity === 0));
});

Deno.test("every message and every event of the system is described", () => {
  const system = Object.keys(systemEvents).map((event) =>
    event.replace(/\.(.)/, (_, letter) => letter.toUpperCase())
  );
  const expected = [
    ...Object.keys(clientMessages).map((op) => `${op}Request`),
    ...Object.keys(serverMessages),
    "streamEvent",
    "streamEphemeralEvent",
    ...system,
  ];
  assert.deepEqual(Object.keys(messages).toSorted(), expected.toSorted());
});

Deno.test("every message has a text, and so has every member of a client's", () => {
  for (const [id, { summary, payload }] of Object.entries(messages)) {
    assert.ok(summary.length > 10, id);
    if (!id.endsWith("Request")) continue;
    for (const [name, { description }] of Object.entries(payload.properties)) {
      assert.ok(description !== undefined, `${id}.${name}`);
    }
  }
});

Deno.test("every example of a message is what its schema allows", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const [id, { payload, examples }] of Object.entries(messages)) {
    const [example] = examples;
    const isValid = ajv.validate({ ...payload, unevaluatedProperties: false }, example?.payload);
    assert.ok(isValid, `${id}: ${ajv.errorsText()}`);
  }
});
