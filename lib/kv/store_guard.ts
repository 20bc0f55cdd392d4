import { Problem } from "../shared/problem.ts";
import type { FileLock } from "./file_lock.ts";
import type { FileLoss, StoreFile } from "./store_file.ts";

/** Milliseconds between two checks of a store that nobody writes to. */
const CHECK_INTERVAL_MS = 1_000;

/** Receives what the operator should know about the store. */
export interface StoreReports {
  /** Nothing is stored from now on. */
  onTrouble?(message: string): void;
  /** Events are stored again. */
  onRecovered?(message: string): void;
}

interface StoreGuardOptions extends StoreReports {
  readonly path: string;
  readonly file: Pick<StoreFile, "loss">;
  /** The lock of this process, in the isolate that holds it. */
  readonly lock: Pick<FileLock, "renew"> | undefined;
}

/**
 * Lets a write of a SQLite file succeed only if the file is still at its path afterwards. Without
 * that, Weir would acknowledge events that nobody can read after a restart.
 */
export class StoreGuard implements AsyncDisposable {
  readonly #options: StoreGuardOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #checking: Promise<void> | undefined;
  #loss: FileLoss | undefined;
  #isLocked = true;

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
    if (this.#loss !== undefined) this.requireFile();
    const result = await write();
    this.requireFile();
    return result;
  }

  /** @throws {Problem} `storage_read_only` if the open file is not the one at its path. */
  requireFile(): void {
    this.#checkFile();
    if (this.#loss === undefined) return;
    const detail = `The store's file was ${this.#loss}, so nothing can be stored.`;
    throw new Problem("storage_read_only", detail);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#checking;
  }

  async #check(): Promise<void> {
    this.#checkFile();
    if (this.#loss === undefined) await this.#checkLock();
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
