import assert from "node:assert/strict";
import { publish } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import type { ClientProgram } from "../support/line_program.ts";
import type { Library } from "./libraries.ts";

const CHANNEL = "numbers";
/** How long a client may take to reconnect and catch up, in ms. */
const LIMIT_MS = 120_000;
/** Milliseconds between two events that are published until all clients have subscribed. */
const FIRST_EVENTS_MS = 50;

/** Starts the program of a library, which gets a URL. */
export type StartClient = (library: Library, url: string) => ClientProgram | Promise<ClientProgram>;

/**
 * Checks that the program of each library prints each event once and in order, and nothing else:
 * live, over a kill of the server, and over a stop.
 */
export async function checkClients(
  t: Deno.TestContext,
  libraries: readonly Library[],
  start: StartClient,
): Promise<void> {
  await using server = await WeirServer.start({ env: { WEIR_HEARTBEAT: "1s" } });
  await using clients = new AsyncDisposableStack();
  const programs = await Promise.all(libraries.map(async (library) => {
    const program = clients.use(await start(library, urlFor(library, server)));
    return { name: library.name, program };
  }));

  let last = 0;
  const publishSome = async (count: number) => {
    for (let i = 0; i < count; i++) await publish(server.url, CHANNEL, ++last);
  };
  // A program starts with the events after its first connection, so it has subscribed once it prints.
  await until("all have subscribed", async () => {
    await publishSome(1);
    await new Promise((resolve) => setTimeout(resolve, FIRST_EVENTS_MS));
    return programs.every(({ program }) => program.lines.length > 0);
  }, LIMIT_MS).catch((cause) => fail(cause, programs, 1));

  const check = async (name: string, act: () => Promise<void>) => {
    await t.step(name, async () => {
      await act();
      await until(
        "all have the last event",
        () => programs.every(({ program }) => program.lines.at(-1) === String(last)),
        LIMIT_MS,
      ).catch((cause) => fail(cause, programs, last));
      for (const { name, program: { lines } } of programs) {
        const first = Number(lines[0]);
        const expected = Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
        assert.deepEqual(lines, expected, name);
      }
    });
  };
  await check("live", () => publishSome(10));
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    await check(`over ${signal}`, async () => {
      await publishSome(5);
      await server.kill(signal);
      await server.start();
      await publishSome(5);
    });
  }
}

function urlFor({ transport }: Library, server: WeirServer): string {
  if (transport === "WebSocket") return `${server.url.replace("http", "ws")}/v1/socket`;
  return `${server.url}/v1/channels/${CHANNEL}/events`;
}

interface NamedProgram {
  readonly name: string;
  readonly program: ClientProgram;
}

/** Says what the programs that are behind have printed last. */
function fail(cause: unknown, programs: readonly NamedProgram[], last: number): never {
  const behind = programs.filter(({ program: { lines } }) => Number(lines.at(-1) ?? 0) < last);
  const said = behind.map(({ name, program }) =>
    `${name}: ${program.lines.slice(-3).join(", ")}\n${program.errors()}`
  );
  throw new Error(`These do not have event ${last}:\n${said.join("\n")}`, { cause });
}
