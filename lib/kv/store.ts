import type { Relay } from "../shared/ephemeral.ts";
import { BroadcastDoorbell } from "./broadcast_doorbell.ts";
import { avoidDelayedAcks } from "./delayed_acks.ts";
import { DiskReserve } from "./disk_reserve.ts";
import { DiskRoom, roomStateInEnvironment } from "./disk_room.ts";
import type { Doorbell } from "./doorbell.ts";
import { FileLock } from "./file_lock.ts";
import { EMBEDDED_TRAITS, KV_CONNECT_TRAITS, type StoreTraits } from "./limits.ts";
import { retryLocked } from "./commit_retry.ts";
import { openWhenThere } from "./open_when_there.ts";
import { findOpenedFiles, StoreFile } from "./store_file.ts";
import { guardWrites, StoreGuard } from "./store_guard.ts";
import { createStoreFile } from "./store_mode.ts";
import type { StoreReports } from "./store_reports.ts";
import { OTHER_ROOM, type StoreRoom } from "./store_room.ts";
import { MAX_CARRIED_BYTES, WatchDoorbell } from "./watch_doorbell.ts";

export { StoreInUseError } from "./file_lock.ts";

/**
 * Connections to a KV server, besides that of the watch. Several requests on a connection wait for
 * each other's acknowledgements, so there is one for each commit that may be in flight.
 */
const CONNECTIONS = KV_CONNECT_TRAITS.maxCommitsInFlight;

/** An open store, with the parts that depend on its kind. */
export interface Store {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Passes ephemeral events to the other isolates on the store. */
  readonly relay: Relay;
  readonly traits: StoreTraits;
  readonly room: StoreRoom;
  /** @throws {Problem} `storage_*` if it is known that no events can be stored. */
  requireWritable(): void;
  close(): Promise<void>;
}

/** The store's file has lost its content. */
export class StoreEmptiedError extends Error {
  override readonly name = "StoreEmptiedError";
}

/**
 * Opens the store at `target`: the path of a file, `:memory:`, a KV Connect URL, or undefined for
 * the platform's store. If another isolate of this process has the file open, but its path does not
 * lead to it, waits until it does.
 *
 * @throws {StoreInUseError} if another process has the file open. Doorbells don't reach other
 * processes on a file, so its subscribers would miss events.
 * @throws {StoreEmptiedError} if the file is empty, but was not.
 */
export async function openStore(
  target: string | undefined,
  reports: StoreReports = {},
): Promise<Store> {
  if (target === undefined || /^https?:/.test(target)) return await openShared(target);
  if (target === ":memory:") {
    const kv = await Deno.openKv(target);
    return embedded(kv, crypto.randomUUID(), () => false);
  }
  return await openFile(target, reports);
}

async function openFile(path: string, reports: StoreReports): Promise<Store> {
  await using undo = new AsyncDisposableStack();
  const reserve = new DiskReserve(path);
  const lock = await FileLock.take(path);
  if (lock !== undefined) {
    undo.adopt(lock, (lock) => lock.close());
    await checkBeforeOpening(path, lock, reports);
    await reserve.releaseIfFull();
    await createStoreFile(path).catch(() => {}); // the runtime says why it cannot be created
    lock.announce();
  }
  const openedBefore = lock === undefined ? await FileLock.openedByHolder(path) : undefined;
  // Isolates that start together lock each other out.
  const open = () => retryLocked(() => Deno.openKv(path));
  const kv = openedBefore === undefined
    ? await open()
    : await openWhenThere(new StoreFile(openedBefore), open);
  const realPath = openedBefore?.realPath ?? await Deno.realPath(path);
  // The second isolate says so before it opens the store. So it misses no commit after its first read.
  const store = embedded(kv, realPath, () => lock === undefined || lock.isShared());
  undo.defer(() => store.close());
  const opened = openedBefore ?? findOpenedFiles(path, realPath);
  lock?.shareOpened(opened);
  await lock?.recordOpened();
  const file = new StoreFile(opened);
  // One isolate of the process reports for all.
  const own = lock === undefined ? {} : reports;
  const shared = roomStateInEnvironment(realPath);
  const room = new DiskRoom({ reserve, shared, isKeeper: lock !== undefined, ...own });
  const guard = undo.use(new StoreGuard({ path, file, lock, room, ...own }));
  guardWrites(store.kv, guard);
  const resources = undo.move();
  return {
    ...store,
    room,
    requireWritable: () => guard.requireWritable(),
    close: () => resources.disposeAsync(),
  };
}

/** @throws {StoreEmptiedError} if the store was truncated: SQLite would begin an empty one. */
async function checkBeforeOpening(
  path: string,
  lock: FileLock,
  { onTrouble }: StoreReports,
): Promise<void> {
  if (!await lock.hasOpened()) return;
  const size = await Deno.stat(path).then(({ size }) => size, () => undefined);
  if (size === undefined) {
    onTrouble?.(`there is no store at ${path}, although there was one: an empty one is created`);
  } else if (size === 0) {
    throw new StoreEmptiedError(
      `Cannot open ${path}: it was truncated and has lost all events. Put a backup in its place, or remove it to start with an empty store.`,
    );
  }
}

async function openShared(target: string | undefined): Promise<Store> {
  const watchKv = await Deno.openKv(target);
  // The platform's store has another protocol, and bills reads by 4 KiB and writes by 1 KiB.
  const handles = await Promise.all(
    Array.from({ length: target === undefined ? 1 : CONNECTIONS }, () => Deno.openKv(target)),
  );
  const { kv, drain } = target === undefined
    ? { kv: handles[0] as Deno.Kv, drain: () => Promise.resolve(true) } // length 1
    : avoidDelayedAcks(handles);
  const maxCarriedBytes = target === undefined ? 0 : MAX_CARRIED_BYTES;
  const doorbell = new WatchDoorbell(kv, watchKv, maxCarriedBytes);
  return {
    kv,
    doorbell,
    relay: doorbell,
    traits: KV_CONNECT_TRAITS,
    room: OTHER_ROOM,
    requireWritable() {},
    async close() {
      await doorbell.close();
      const isIdle = await drain();
      watchKv.close();
      if (!isIdle) return; // the process's end closes them
      for (const handle of handles) handle.close();
    },
  };
}

function embedded(kv: Deno.Kv, name: string, isShared: () => boolean): Store {
  const doorbell = new BroadcastDoorbell(name, isShared);
  return {
    kv,
    doorbell,
    relay: doorbell,
    traits: EMBEDDED_TRAITS,
    room: OTHER_ROOM,
    requireWritable() {},
    async close() {
      await doorbell.close();
      kv.close();
    },
  };
}
