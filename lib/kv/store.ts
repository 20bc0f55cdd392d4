import { pause } from "../shared/async/delay.ts";
import type { Relay } from "../shared/ephemeral.ts";
import { BroadcastDoorbell } from "./broadcast_doorbell.ts";
import { avoidDelayedAcks } from "./delayed_acks.ts";
import type { Doorbell } from "./doorbell.ts";
import { EMBEDDED_TRAITS, KV_CONNECT_TRAITS, type StoreTraits } from "./limits.ts";
import { retryLocked } from "./commit_retry.ts";
import { WatchDoorbell } from "./watch_doorbell.ts";

/** How long an isolate waits until another isolate of its process says that it has the file. */
const SIBLING_TIMEOUT_MS = 2_000;
const SIBLING_CHECK_INTERVAL_MS = 20;

/** An open store, with the parts that depend on its kind. */
export interface Store {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Passes ephemeral events to the other isolates on the store. */
  readonly relay: Relay;
  readonly traits: StoreTraits;
  close(): Promise<void>;
}

/** Another process has the file open. */
export class StoreInUseError extends Error {
  override readonly name = "StoreInUseError";
}

/**
 * Opens the store at `target`: the path of a file, `:memory:`, a KV Connect URL, or undefined for
 * the platform's store.
 *
 * @throws {StoreInUseError} if another process has the file open. Doorbells don't reach other
 * processes on a file, so its subscribers would miss events.
 */
export async function openStore(target: string | undefined): Promise<Store> {
  if (target === undefined || /^https?:/.test(target)) return await openShared(target);
  if (target === ":memory:") {
    const kv = await Deno.openKv(target);
    return embedded(kv, crypto.randomUUID(), () => {});
  }
  const lock = await lockFile(`${target}.lock`);
  try {
    // Isolates that start together create the tables together, and lock each other out.
    const kv = await retryLocked(() => Deno.openKv(target));
    return embedded(kv, await Deno.realPath(target), () => lock?.close());
  } catch (cause) {
    lock?.close();
    throw cause;
  }
}

async function openShared(target: string | undefined): Promise<Store> {
  const handle = await Deno.openKv(target);
  const watchKv = await Deno.openKv(target);
  // The platform's store has another protocol and bills reads.
  const { kv, drain } = target === undefined
    ? { kv: handle, drain: () => Promise.resolve(true) }
    : avoidDelayedAcks(handle);
  const doorbell = new WatchDoorbell(kv, watchKv);
  return {
    kv,
    doorbell,
    relay: doorbell,
    traits: KV_CONNECT_TRAITS,
    async close() {
      await doorbell.close();
      const isIdle = await drain();
      watchKv.close();
      if (isIdle) handle.close(); // otherwise the process's end closes it
    },
  };
}

function embedded(kv: Deno.Kv, name: string, unlock: () => void): Store {
  const doorbell = new BroadcastDoorbell(name);
  return {
    kv,
    doorbell,
    relay: doorbell,
    traits: EMBEDDED_TRAITS,
    async close() {
      await doorbell.close();
      kv.close();
      unlock();
    },
  };
}

/**
 * Reserves the file for this process. One isolate holds the lock and tells the others through the
 * environment, which is shared within a process only.
 *
 * @returns the lock, or undefined if another isolate of this process holds it.
 */
async function lockFile(path: string): Promise<Deno.FsFile | undefined> {
  const file = await Deno.open(path, { create: true, write: true });
  const name = `WEIR_INTERNAL_LOCK_${path}`;
  const own = String(Deno.pid); // a child process that inherits the environment has another id
  if (await file.tryLock(true)) {
    Deno.env.set(name, own);
    return file;
  }
  file.close();
  for (const end = performance.now() + SIBLING_TIMEOUT_MS; performance.now() < end;) {
    if (Deno.env.get(name) === own) return undefined;
    await pause(SIBLING_CHECK_INTERVAL_MS);
  }
  throw new StoreInUseError(
    `Cannot open ${
      path.slice(0, -".lock".length)
    }: another process has it open. Stop that process, or let both use a KV Connect server (WEIR_KV=https://…).`,
  );
}
