import { pause } from "../shared/async/delay.ts";
import { Problem } from "../shared/problem.ts";
import type { DiskRoom } from "./disk_room.ts";
import type { FileLock } from "./file_lock.ts";
import { isFull, storageProblem } from "./storage_problem.ts";
import type { FileLoss, StoreFile } from "./store_file.ts";
import type { StoreReports } from "./store_reports.ts";

/** Milliseconds between two checks of a store that nobody writes to. */
const CHECK_INTERVAL_MS = 1_000;
/** Attempts at a write for which the disk has no room, while the reserve is released. */
const MAX_ATTEMPTS = 4;
/** Milliseconds between them. Another isolate may just try to take the space again. */
const ATTEMPT_PAUSE_MS = 50;
/** Milliseconds for which a refusal by the file system shows in readiness if nothing is written. */
const FAILURE_MS = 60_000;

interface StoreGuardOptions extends StoreReports {
  readonly path: string;
  readonly file: Pick<StoreFile, "loss">;
  /** The lock of this process, in the isolate that holds it. */
  readonly lock: Pick<FileLock, "renew"> | undefined;
  readonly room: Pick<DiskRoom, "refusal" | "ranOut" | "check">;
}

/**
 * Lets a write of a SQLite file succeed only if the file is still at its path afterwards. Without
 * that, Weir would acknowledge events that nobody can read after a restart. Knows whether events
 * can be stored, and makes room for writes that the disk has none for.
 */
export class StoreGuard implements AsyncDisposable {
  readonly #options: StoreGuardOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #checking: Promise<void> | undefined;
  #loss: FileLoss | undefined;
  #isLocked = true;
  /** The last refusal by the file system, until a write succeeds. */
  #failure: { readonly problem: Problem; readonly at: number } | undefined;

  constructor(options: StoreGuardOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#checking ??= this.#check().finally(() => this.#checking = undefined);
    }, CHECK_INTERVAL_MS);
  }

  /**
   * Does `write`, and checks the file afterwards. While the file is lost, nothing is written.
   *
   * @throws {Problem} `storage_read_only` if the file is lost. The write may have happened, and is
   * kept if the file comes back.
   */
  async write<T>(write: () => Promise<T>): Promise<T> {
    if (this.#loss !== undefined) this.#requireFile();
    const result = await this.#writeWithRoom(write);
    this.#requireFile();
    return result;
  }

  /** @throws {Problem} `storage_*` if it is known that no events can be stored. */
  requireWritable(): void {
    this.#requireFile();
    const refusal = this.#options.room.refusal();
    if (refusal !== undefined) throw refusal;
    const failure = this.#failure;
    if (failure !== undefined && performance.now() < failure.at + FAILURE_MS) throw failure.problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#checking;
  }

  /** Does `write`, and repeats it while room is made for it. A refused write has changed nothing. */
  async #writeWithRoom<T>(write: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        const result = await write();
        this.#failure = undefined;
        return result;
      } catch (cause) {
        const problem = storageProblem(cause);
        if (!isFull(problem)) throw cause;
        this.#failure = { problem, at: performance.now() };
        if (problem.code !== "storage_full" || attempt === MAX_ATTEMPTS) throw cause;
        if (!await this.#options.room.ranOut()) throw cause;
        if (attempt > 1) await pause(ATTEMPT_PAUSE_MS);
      }
    }
  }

  /** @throws {Problem} `storage_read_only` if the open file is not the one at its path. */
  #requireFile(): void {
    this.#checkFile();
    if (this.#loss === undefined) return;
    const detail = `The store's file was ${this.#loss}, so nothing can be stored.`;
    throw new Problem("storage_read_only", detail);
  }

  async #check(): Promise<void> {
    this.#checkFile();
    if (this.#loss !== undefined) return;
    await this.#checkLock();
    const { room } = this.#options;
    const wasFull = room.refusal() !== undefined;
    await room.check();
    if (wasFull && room.refusal() === undefined) this.#failure = undefined;
  }

  /** Takes the lock again if somebody has removed its file. */
  async #checkLock(): Promise<void> {
    const { path, lock, onTrouble } = this.#options;
    const isLocked = await lock?.renew().catch(() => true) ?? true; // it is tried again
    if (this.#isLocked && !isLocked) {
      onTrouble?.(
        `the file ${path}.lock was removed, and another process has opened the store: events of one reach subscribers of the other late. Stop one of the two.`,
      );
    }
    this.#isLocked = isLocked;
  }

  #checkFile(): void {
    const { path, file, onTrouble, onRecovered } = this.#options;
    const before = this.#loss;
    this.#loss = file.loss();
    if (this.#loss === before) return;
    if (this.#loss !== undefined) onTrouble?.(explain(path, this.#loss));
    else onRecovered?.(`the file of the store is back at ${path}: events are stored again`);
  }
}

/** Lets all writes of `kv` pass the guard. */
export function guardWrites(kv: Deno.Kv, guard: Pick<StoreGuard, "write">): void {
  const { set, delete: remove, atomic } = kv;
  kv.set = (...args) => guard.write(() => set.apply(kv, args));
  kv.delete = (...args) => guard.write(() => remove.apply(kv, args));
  kv.atomic = () => {
    const operation = atomic.call(kv);
    const { commit } = operation;
    operation.commit = () => guard.write(() => commit.call(operation));
    return operation;
  };
}

/** Returns what has happened and what the operator can do. */
function explain(path: string, loss: FileLoss): string {
  if (loss === "truncated") {
    return `the file of the store, ${path}, was truncated: events in it are lost, and publishes are refused. Stop Weir, put a backup in the file's place, and start Weir again.`;
  }
  return `the file of the store, ${path}, or its -wal file was ${loss}: publishes are refused, and events of this process can still be read. Move the files back, or stop Weir to continue with what is there at the next start; what was stored here may be gone then.`;
}
