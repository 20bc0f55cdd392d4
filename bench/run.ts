/** Runs one scenario: starts its servers, the load and the comparisons, and stops the servers. */
import { makeAccess } from "./access.ts";
import { LOAD_DEFAULTS, type LoadOptions, type LoadResult, type Transport } from "./options.ts";
import { type RivalName, RIVALS } from "./rivals.ts";
import {
  findProgram,
  freePort,
  runLoad,
  Server,
  startBare,
  startDenokv,
  startWeir,
} from "./process.ts";
import type { Measured, Scenario, ScenarioLoad, ScenarioRun } from "./scenarios.ts";

/** Settings of all scenarios of a run. */
export interface RunOptions {
  /** Further flags for the `deno run` of Weir, for a profile. */
  readonly flags: readonly string[];
  /** How often each load runs, by turns with those that it is compared with. */
  readonly rounds: number;
  /** Paths of rivals' programs that are not on the PATH. */
  readonly programs: Readonly<Partial<Record<RivalName, string>>>;
}

/** Thrown when a load cannot run on this machine: the message says what is missing. */
export class Skipped extends Error {}

/** Publishers that fill the log before a replay. */
const SEED_IN_FLIGHT = 128;

/** Measures `scenario` and its comparisons by turns. @throws {Skipped} */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<ScenarioRun> {
  const rounds: Measured[] = [];
  const missing: Record<string, string> = {};
  while (rounds.length < options.rounds) {
    const result = await measure(scenario.load, options);
    const compared: Record<string, LoadResult> = {};
    for (const [name, load] of Object.entries(scenario.compare ?? {})) {
      if (name in missing) continue;
      try {
        compared[name] = await measure({ ...scenario.load, ...load }, options);
      } catch (error) {
        if (!(error instanceof Skipped)) throw error;
        missing[name] = error.message;
      }
    }
    rounds.push({ result, compared });
  }
  return { rounds, missing };
}

async function measure(load: ScenarioLoad, options: RunOptions): Promise<LoadResult> {
  const folder = await Deno.makeTempDir({ prefix: "weir-bench-" });
  try {
    const { wire = "weir", servers = "weir" } = load;
    if (wire !== "weir") return await onRival(wire, folder, load, options);
    if (servers === "denokv") return await onDenokv(folder, load, options);
    if ((load.held ?? 0) > 0) await seed(folder, load.held ?? 0, options);
    return await onWeir(folder, load, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function onRival(
  name: RivalName,
  folder: string,
  { access: _, keeps: __, writers: ___, servers: ____, ...load }: ScenarioLoad,
  { programs }: RunOptions,
): Promise<LoadResult> {
  const { transports } = RIVALS[name];
  const { transport = LOAD_DEFAULTS.transport } = load;
  if (!transports.includes(transport)) throw new Skipped(`${name} has no ${transport}`);
  await using server = await startRival(name, transport, folder, programs[name]);
  return await underLoad(load, server.host, server.host, [server]);
}

async function startRival(
  name: RivalName,
  transport: Transport,
  folder: string,
  path: string | undefined,
): Promise<Server> {
  const { program, isDurable = false } = RIVALS[name];
  if (program === undefined) {
    return await startBare(transport, isDurable ? `${folder}/bare.sqlite` : undefined);
  }
  const found = path ?? await findProgram(program.name);
  if (found === undefined) throw new Skipped(`${program.name} is missing: ${program.install}`);
  const port = freePort();
  return await Server.start(name, found, program.args(port, folder), { env: program.env, port });
}

async function onWeir(
  folder: string,
  { access = "open", keeps, writers = 1, servers, ...load }: ScenarioLoad,
  { flags }: RunOptions,
): Promise<LoadResult> {
  const { settings, tokens } = await makeAccess(access);
  const store = `${folder}/weir.sqlite`;
  const kept = keeping(keeps, store);
  await using server = await startWeir(store, {
    flags,
    settings: { ...settings, ...kept.settings },
    isParallel: servers === "parallel",
  });
  const secondWriterAt = writers === 2 ? server.host : "";
  const all = { ...load, ...tokens, ...kept.load, secondWriterAt };
  return await underLoad(all, server.host, server.host, [server]);
}

/** Returns the settings and the load of a run whose channels keep so many events. */
function keeping(
  keeps: number | undefined,
  storePath: string,
): { readonly settings: Record<string, string>; readonly load: Partial<LoadOptions> } {
  if (keeps === undefined) return { settings: {}, load: {} };
  const settings = { WEIR_RETENTION_EVENTS: `${keeps}`, WEIR_RETENTION_BYTES: "100GiB" };
  return { settings, load: { storePath } };
}

/** Runs the load. Adds the output of the servers to an error. */
async function underLoad(
  { before, ...load }: Partial<LoadOptions> & Pick<ScenarioLoad, "before">,
  publishAt: string,
  subscribeAt: string,
  servers: readonly Server[],
): Promise<LoadResult> {
  const said = () => servers.map((server) => server.account).join("\n");
  try {
    const pids = servers.map((server) => server.pid);
    const all = { ...LOAD_DEFAULTS, ...load, publishAt, subscribeAt, pids };
    if (before !== undefined) {
      const { problem } = await runLoad({ ...all, ...before });
      if (problem !== "") throw new Error(`The load before has failed: ${problem}`);
    }
    const result = await runLoad(all);
    return result.problem === "" ? result : { ...result, problem: `${result.problem}\n${said()}` };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${reason}\n${said()}`, { cause });
  }
}

/** Fills the log and stops the server, so that the replay reads from the store. */
async function seed(folder: string, messages: number, options: RunOptions): Promise<void> {
  const { failedPublishes, problem } = await onWeir(
    folder,
    { messages, inFlight: SEED_IN_FLIGHT },
    options,
  );
  if (failedPublishes > 0) throw new Error(`The log could not be filled: ${problem}`);
}

async function onDenokv(
  folder: string,
  { access: _, keeps, writers = 1, servers: __, ...load }: ScenarioLoad,
  { flags }: RunOptions,
): Promise<LoadResult> {
  const binary = await findProgram("denokv");
  if (binary === undefined) throw new Skipped("denokv is missing: cargo install denokv --locked");
  const token = crypto.randomUUID();
  const path = `${folder}/denokv.sqlite`;
  await using store = await startDenokv(binary, path, token);
  const kv = `http://${store.host}`;
  const { settings, load: watched } = keeping(keeps, path);
  await using first = await startWeir(kv, { token, flags, settings });
  await using second = await startWeir(kv, { token, flags, settings });
  const all = { ...load, ...watched, secondWriterAt: writers === 2 ? second.host : "" };
  return await underLoad(all, first.host, second.host, [first, second, store]);
}
