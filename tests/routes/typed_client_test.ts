import assert from "node:assert/strict";
// @ts-types="../support/openapi_typescript.d.ts"
import openapiTS, { astToString } from "openapi-typescript";
import { LocalServer } from "../support/local_server.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A program with a client that is typed by the description. */
const PROGRAM = `
import createClient from "openapi-fetch";
import type { paths } from "./weir.d.ts";

export async function publish(baseUrl: string): Promise<string> {
  const weir = createClient<paths>({ baseUrl });
  const { data, error } = await weir.POST("/v1/events", {
    body: { channel: "orders", data: { amount: 3 } },
  });
  if (error !== undefined) throw new Error(error.code);
  if (typeof data === "string" || !("events" in data)) throw new Error("the event was not stored");
  const [event] = data.events;
  return event?.offset ?? "";
}
`;

Deno.test("a typed client made from the description compiles and publishes an event", async () => {
  await using server = await LocalServer.start();
  const folder = await Deno.makeTempDir({ prefix: "weir_typed_" });
  try {
    const description = await (await fetch(`${server.url}/openapi.json`)).text();
    const types = astToString(await openapiTS(description));
    await Deno.writeTextFile(`${folder}/weir.d.ts`, types);
    await Deno.writeTextFile(`${folder}/right.ts`, PROGRAM);
    await Deno.writeTextFile(`${folder}/wrong.ts`, PROGRAM.replace("channel:", "chanel:"));
    assert.deepEqual(await check(`${folder}/right.ts`), { success: true, said: "" });
    const { success, said } = await check(`${folder}/wrong.ts`);
    assert.equal(success, false);
    assert.match(said, /chanel/);
    const { publish }: { publish(baseUrl: string): Promise<string> } = await import(
      `file://${folder}/right.ts`
    );
    assert.match(await publish(server.url), /^\w{9}_0{15}1$/);
    const page = await (await fetch(`${server.url}/v1/channels/orders/events`)).json();
    assert.deepEqual(page.events.map(({ data }: { data: unknown }) => data), [{ amount: 3 }]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Checks the types of a program. */
async function check(path: string): Promise<{ success: boolean; said: string }> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--config", CONFIG, path],
    env: { NO_COLOR: "1", DENO_LOG: "error" }, // CI turns off what the compiler says
  }).output();
  return { success, said: new TextDecoder().decode(stderr) };
}
