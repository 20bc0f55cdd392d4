import assert from "node:assert/strict";
import { BroadcastDoorbell } from "../../lib/kv/broadcast_doorbell.ts";
import { avoidDelayedAcks } from "../../lib/kv/delayed_acks.ts";
import type { Doorbell } from "../../lib/kv/doorbell.ts";
import { EMBEDDED_TRAITS, KV_CONNECT_TRAITS } from "../../lib/kv/limits.ts";
import { WatchDoorbell } from "../../lib/kv/watch_doorbell.ts";
import { KvLog, type KvLogOptions } from "../../lib/log/kv_log.ts";
import { Denokv, DENOKV_MISSING } from "./denokv.ts";
import "./open_broadcast_channel.ts";

/** Keeps everything, for tests that are not about retention. */
export const KEEP_ALL = { age: Infinity, events: Infinity, bytes: Infinity };

/** How long closing waits for pending requests to the store, in ms. */
const CLOSE_LIMIT = 30_000;

export type IsolateOptions = Partial<KvLogOptions>;

/** A store and the logs that a test opens on it, each like a separate isolate. */
export interface LogStore extends AsyncDisposable {
  /** A handle on the store, to inspect its rows. */
  readonly kv: Deno.Kv;
  /** Opens a log, without safety poll and retention unless `options` set them. */
  isolate(options?: IsolateOptions): Promise<KvLog>;
}

/** The kinds of store that the log supports. */
export interface StoreKind {
  readonly name: string;
  readonly ignore: boolean;
  open(): Promise<LogStore>;
}

export const STORES: readonly StoreKind[] = [
  { name: "memory", ignore: false, open: () => openEmbedded() },
  { name: "file", ignore: false, open: () => openFile() },
  { name: "denokv", ignore: DENOKV_MISSING, open: () => openDenokv() },
];

/** @param path of a SQLite file. @default in memory */
export async function openEmbedded(path = ":memory:"): Promise<LogStore> {
  await using undo = new AsyncDisposableStack();
  const name = crypto.randomUUID();
  const kv = undo.adopt(await Deno.openKv(path), (kv) => kv.close());
  const openHandle = async () =>
    path === ":memory:" ? kv : resources.adopt(await Deno.openKv(path), (kv) => kv.close());
  const resources = undo.move();
  return {
    kv,
    isolate: async (options) =>
      openLog(resources, {
        kv: await openHandle(),
        traits: EMBEDDED_TRAITS,
        ...options,
        doorbell: options?.doorbell ?? new BroadcastDoorbell(name),
      }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function openFile(): Promise<LogStore> {
  const directory = await Deno.makeTempDir({ prefix: "weir_log_" });
  const store = await openEmbedded(`${directory}/kv.sqlite`);
  return {
    ...store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** @param server remains the caller's. @default a new one, which the store owns */
export async function openDenokv(server?: Denokv): Promise<LogStore> {
  await using undo = new AsyncDisposableStack();
  const denokv = server ?? undo.use(await Denokv.start());
  const kv = undo.adopt(await denokv.openKv(), (kv) => kv.close());
  const resources = undo.move();
  return {
    kv,
    isolate: async (options) => {
      const handle = resources.adopt(await denokv.openKv(), (kv) => kv.close());
      const { kv: own, drain } = avoidDelayedAcks([handle]);
      resources.defer(async () => assert.ok(await drain(CLOSE_LIMIT), "the store has answered"));
      const watch = resources.adopt(await denokv.openKv(), (kv) => kv.close());
      return openLog(resources, {
        kv: own,
        traits: KV_CONNECT_TRAITS,
        ...options,
        doorbell: options?.doorbell ?? new WatchDoorbell(own, watch),
      });
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function openLog(
  resources: AsyncDisposableStack,
  options: IsolateOptions & Pick<KvLogOptions, "kv" | "doorbell" | "traits">,
): KvLog {
  resources.adopt(options.doorbell, (doorbell: Doorbell) => doorbell.close());
  const { now } = options;
  const clock = now === undefined ? {} : { monotonicNow: now }; // a test's clock does not jump
  const log = new KvLog({ retention: KEEP_ALL, safetyPollMs: 0, ...clock, ...options });
  return resources.adopt(log, (log) => log.close());
}
