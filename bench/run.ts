/** Runs one scenario: starts its servers, the load and the comparison, and stops the servers. */
import { LOAD_DEFAULTS, type LoadOptions, type LoadResult } from "./options.ts";
import { findDenokv, runLoad, type Server, startBare, startDenokv, startWeir } from "./process.ts";
import { makeAccess } from "./access.ts";
import type { Measured, Scenario, ScenarioLoad } from "./scenarios.ts";

/** Settings of all scenarios of a run. */
export interface RunOptions {
  /** Further flags for the `deno run` of Weir, for a profile. */
  readonly flags: readonly string[];
}

/** Thrown when a scenario cannot run on this machine: the message says what is missing. */
export class Skipped extends Error {}

/** Publishers that fill the log before a replay. */
const SEED_IN_FLIGHT = 128;

/** Measures `scenario` and its comparison. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Measured> {
  const result = await measure(scenario, scenario.load, options);
  if (scenario.compare === undefined) return { result, compared: undefined };
  const load = { ...scenario.load, ...scenario.compare };
  return { result, compared: await measure(scenario, load, options) };
}

async function measure(
  { servers }: Scenario,
  load: ScenarioLoad,
  options: RunOptions,
): Promise<LoadResult> {
  const folder = await Deno.makeTempDir({ prefix: "weir-bench-" });
  try {
    if (load.wire === "bare") return await onBare(load);
    if (servers === "denokv") return await onDenokv(folder, load, options);
    if ((load.held ?? 0) > 0) await seed(folder, load.held ?? 0, options);
    return await onWeir(folder, load, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function onBare(load: Partial<LoadOptions>): Promise<LoadResult> {
  await using server = await startBare(load.transport ?? LOAD_DEFAULTS.transport);
  return await underLoad(load, server.host, server.host, [server]);
}

async function onWeir(
  folder: string,
  { access = "open", keeps, ...load }: ScenarioLoad,
  { flags }: RunOptions,
): Promise<LoadResult> {
  const { settings, tokens } = await makeAccess(access);
  const store = `${folder}/weir.sqlite`;
  const kept = keeping(keeps, store);
  await using server = await startWeir(store, {
    flags,
    settings: { ...settings, ...kept.settings },
  });
  return await underLoad({ ...load, ...tokens, ...kept.load }, server.host, server.host, [server]);
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
  load: Partial<LoadOptions>,
  publishAt: string,
  subscribeAt: string,
  servers: readonly Server[],
): Promise<LoadResult> {
  const said = () => servers.map((server) => server.account).join("\n");
  try {
    const pids = servers.map((server) => server.pid);
    const result = await runLoad({ ...LOAD_DEFAULTS, ...load, publishAt, subscribeAt, pids });
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
  { access: _, keeps, ...load }: ScenarioLoad,
  { flags }: RunOptions,
): Promise<LoadResult> {
  const binary = await findDenokv();
  if (binary === undefined) throw new Skipped("denokv is missing: cargo install denokv --locked");
  const token = crypto.randomUUID();
  const path = `${folder}/denokv.sqlite`;
  await using store = await startDenokv(binary, path, token);
  const kv = `http://${store.host}`;
  const { settings, load: watched } = keeping(keeps, path);
  await using first = await startWeir(kv, { token, flags, settings });
  await using second = await startWeir(kv, { token, flags, settings });
  return await underLoad({ ...load, ...watched }, first.host, second.host, [first, second, store]);
}
