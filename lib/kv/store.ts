import { pause } from "../shared/async/delay.ts";
import type { Relay } from "../shared/ephemeral.ts";
import { BroadcastDoorbell } from "./broadcast_doorbell.ts";
import { avoidDelayedAcks } from "./delayed_acks.ts";
import type { Doorbell } from "./doorbell.ts";
import { EMBEDDED_TRAITS, KV_CONNECT_TRAITS, type StoreTraits } from "./limits.ts";
import { retryLocked } from "./commit_retry.ts";
import { WatchDoorbell } from "./watch_doorbell.ts";

/** How long an isolate waits for its sibling's word that the file is their process's own, in ms. */
const SIBLING_WAIT = 2_000;

/** An open store and what goes with its kind. */
export interface Store {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Carries ephemeral events to the other isolates on the store. */
  readonly relay: Relay;
  readonly traits: StoreTraits;
  close(): Promise<void>;
}

/** Another process has the file open. */
export class StoreInUseError extends Error {
  override readonly name = "StoreInUseError";
}

/**
 * Opens the store at `target`: a file's path (or `:memory:`), a KV Connect URL, or nothing for the
 * platform's own store.
 *
 * @throws {StoreInUseError} if another process has the file: watches do not cross processes on a
 * file, so its subscribers would miss events.
 */
export async function openStore(target: string | undefined): Promise<Store> {
  if (target === undefined || /^https?:/.test(target)) return await openShared(target);
  if (target === ":memory:") {
    const kv = await Deno.openKv(target);
    return embedded(kv, crypto.randomUUID(), () => {});
  }
  const lock = await lockFile(`${target}.lock`);
  try {
    // Isolates that start at once make the file's tables at once: one after the other.
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
  // The platform's own store is reached in another way, and bills its reads.
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
      if (isIdle) handle.close(); // else the process's end does
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
 * Holds the file for this process: one isolate has the lock, and the environment, which isolates
 * of a process share and other processes don't see, tells its siblings. Undefined for a sibling.
 */
async function lockFile(path: string): Promise<Deno.FsFile | undefined> {
  const file = await Deno.open(path, { create: true, write: true });
  const name = `WEIR_INTERNAL_LOCK_${path}`;
  const own = String(Deno.pid); // a child that inherits the environment has another
  if (await file.tryLock(true)) {
    Deno.env.set(name, own);
    return file;
  }
  file.close();
  for (const end = performance.now() + SIBLING_WAIT; performance.now() < end;) {
    if (Deno.env.get(name) === own) return undefined;
    await pause(20);
  }
  throw new StoreInUseError(
    `Cannot open ${
      path.slice(0, -".lock".length)
    }: another process has it. Stop that one, or let both use a KV Connect server (WEIR_KV=https://…).`,
  );
}
