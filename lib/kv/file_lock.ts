import { pause } from "../shared/async/delay.ts";
import type { OpenedFiles } from "./store_file.ts";

/** How long an isolate waits until another isolate of its process says that it has the file. */
const SIBLING_TIMEOUT_MS = 2_000;
const SIBLING_CHECK_INTERVAL_MS = 20;

/** What the lock's file contains once a store was opened. */
const OPENED = new TextEncoder().encode("opened\n");

/** Another process has the file open. */
export class StoreInUseError extends Error {
  override readonly name = "StoreInUseError";

  constructor(readonly path: string) {
    super(
      `Cannot open ${path}: another process has it open. Stop that process, or let both use a KV Connect server (WEIR_KV=https://…).`,
    );
  }
}

/** Reserves a store's file for this process, with a file next to it that one isolate locks. */
export class FileLock {
  readonly #path: string;
  #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Reserves the store at `storePath` for this process.
   *
   * @returns the lock, or undefined if another isolate of this process holds it and has called
   * {@link announce}. Then {@link openedByHolder} returns the files to open.
   * @throws {StoreInUseError} if another process holds it.
   */
  static async take(storePath: string): Promise<FileLock | undefined> {
    const path = `${storePath}.lock`;
    if (readOpened(path) !== undefined) {
      // The lock's file may have been removed with the store. This isolate must not create another.
      Deno.env.set(variableOf(path), sharedProcessId());
      return undefined;
    }
    const file = await tryLock(path);
    if (file !== undefined) return new FileLock(path, file);
    for (const end = performance.now() + SIBLING_TIMEOUT_MS; performance.now() < end;) {
      const holder = Deno.env.get(variableOf(path));
      if (holder === processId() || holder === sharedProcessId()) {
        Deno.env.set(variableOf(path), sharedProcessId());
        return undefined;
      }
      await pause(SIBLING_CHECK_INTERVAL_MS);
    }
    throw new StoreInUseError(storePath);
  }

  /** Resolves with the files of the store once the isolate that holds the lock has opened them. */
  static async openedByHolder(storePath: string): Promise<OpenedFiles> {
    for (;; await pause(SIBLING_CHECK_INTERVAL_MS)) {
      const opened = readOpened(`${storePath}.lock`);
      if (opened !== undefined) return opened;
    }
  }

  /**
   * Lets the other isolates of this process wait for the files of the store. They share its
   * environment.
   */
  announce(): void {
    // An isolate that shared it with an earlier holder of the lock may still be there.
    if (!this.isShared()) Deno.env.set(variableOf(this.#path), processId());
  }

  /** Lets the other isolates of this process open the same files, and no others at their paths. */
  shareOpened(opened: OpenedFiles): void {
    Deno.env.set(openedVariableOf(this.#path), `${processId()} ${JSON.stringify(opened)}`);
  }

  /** Returns whether another isolate of this process has opened the store, or is about to. */
  isShared(): boolean {
    return Deno.env.get(variableOf(this.#path)) === sharedProcessId();
  }

  /** Returns whether a store was opened here before. */
  async hasOpened(): Promise<boolean> {
    return (await this.#file.stat()).size > 0;
  }

  /** Records that a store was opened here. */
  async recordOpened(): Promise<void> {
    if (await this.hasOpened()) return;
    await this.#file.write(OPENED).catch(() => {}); // the disk is full: only a check is lost
  }

  /** Locks the path again if the lock's file was removed. Returns false if another process did. */
  async renew(): Promise<boolean> {
    const found = await Deno.stat(this.#path).catch(() => undefined);
    const { dev, ino } = await this.#file.stat();
    if (found?.dev === dev && found.ino === ino) return true;
    const file = await tryLock(this.#path);
    if (file === undefined) return false;
    this.#file.close();
    this.#file = file;
    await this.recordOpened();
    return true;
  }

  close(): void {
    Deno.env.delete(openedVariableOf(this.#path));
    this.#file.close();
  }
}

async function tryLock(path: string): Promise<Deno.FsFile | undefined> {
  const file = await Deno.open(path, { create: true, write: true });
  if (await file.tryLock(true)) return file;
  file.close();
  return undefined;
}

function variableOf(path: string): string {
  return `WEIR_INTERNAL_LOCK_${path}`;
}

function openedVariableOf(path: string): string {
  return `WEIR_INTERNAL_OPENED_${path}`;
}

/** Returns the files that an isolate of this process has opened with the lock at `path`. */
function readOpened(path: string): OpenedFiles | undefined {
  const value = Deno.env.get(openedVariableOf(path)) ?? "";
  const prefix = `${processId()} `;
  return value.startsWith(prefix) ? JSON.parse(value.slice(prefix.length)) : undefined;
}

/** Distinguishes this process from a child that inherits its environment. */
function processId(): string {
  return String(Deno.pid);
}

/** The same, once a second isolate of the process has taken the file. */
function sharedProcessId(): string {
  return `${processId()} shared`;
}
