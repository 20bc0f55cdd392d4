import { Problem } from "../shared/problem.ts";
import type { DiskReserve } from "./disk_reserve.ts";
import type { StoreReports } from "./store_reports.ts";
import type { StoreRoom } from "./store_room.ts";

/**
 * Bytes that must be deleted before events are stored again on a disk that is still full. Guards
 * against a disk that is full again at once, which costs a part of the reserve each time.
 */
const MIN_FREED_BYTES = 8 * 1024 * 1024;
/** Checks between two attempts to take disk space while nothing was deleted. */
const CHECKS_BETWEEN_FILLS = 5;

/**
 * - `none`: there is no reserve yet, or none can be made.
 * - `reserved`: there is a reserve.
 * - `full`: the disk is full, and the reserve was released.
 */
export type RoomState = "none" | "reserved" | "full";

/** A state that all isolates of a process share. */
export interface SharedRoomState {
  read(): RoomState;
  write(state: RoomState): void;
}

interface DiskRoomOptions extends StoreReports {
  readonly reserve: Pick<DiskReserve, "exists" | "fill" | "release">;
  readonly shared: SharedRoomState;
  /** Whether this isolate makes the reserve for all of its process. */
  readonly isKeeper: boolean;
}

/**
 * Keeps room on the disk for what frees it. Events are accepted only while there is a reserve. Once
 * a write fails for lack of room, all isolates refuse events and the reserve is released, so that
 * channels can be deleted, retention works and credentials can be revoked. Events are accepted
 * again when the disk has room for a reserve, or when enough rows were deleted.
 */
export class DiskRoom implements StoreRoom {
  readonly #options: DiskRoomOptions;
  #state: RoomState = "none";
  /** Whether this file system takes no reserve. Events are then accepted until a write fails. */
  #isUnsupported = false;
  #freedBytes = 0;
  #checks = 0;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
    if (options.isKeeper) options.shared.write("none"); // an earlier store may have left another
  }

  /** @see {@link StoreRoom.refusal} */
  refusal(): Problem | undefined {
    if (this.#state !== "full") return undefined;
    return new Problem("storage_full", "The store's disk is full.");
  }

  /** @see {@link StoreRoom.freed} */
  freed(bytes: number): void {
    if (this.#state === "full") this.#freedBytes += bytes;
  }

  /** Receives that a write failed for lack of room. Returns whether it may succeed now. */
  async ranOut(): Promise<boolean> {
    this.#take(this.#options.shared.read());
    if (this.#state === "none") return false;
    this.#set("full");
    await this.#options.reserve.release();
    return true;
  }

  /** Compares the state with other isolates and the disk. To be called about each second. */
  async check(): Promise<void> {
    const { reserve, shared, isKeeper } = this.#options;
    this.#take(shared.read());
    const isDue = isKeeper && this.#checks++ % CHECKS_BETWEEN_FILLS === 0;
    const hasFreed = this.#freedBytes >= MIN_FREED_BYTES;
    if (this.#state !== "full" && isKeeper && await reserve.exists()) return this.#set("reserved");
    if (this.#state === "reserved" && !isKeeper) return;
    if (this.#isUnsupported || !isDue && !hasFreed) return;
    const isFull = this.#state === "full";
    const result = await reserve.fill(!isFull || hasFreed);
    if (result === "filled") this.#set("reserved");
    else if (result === "no_room") this.#set("full");
    else if (!isFull) this.#isUnsupported = true;
  }

  /** Changes the state of all isolates. */
  #set(state: RoomState): void {
    this.#options.shared.write(state);
    this.#take(state);
  }

  /** Changes the state of this isolate. */
  #take(state: RoomState): void {
    const { onTrouble, onRecovered } = this.#options;
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    this.#freedBytes = 0;
    if (state === "full") {
      onTrouble?.(
        "the disk is full: publishes are refused. Free disk space, or delete channels and shorten their retention, which still works.",
      );
    } else if (before === "full") {
      onRecovered?.("the store has room again: events are stored again");
    }
  }
}

/** Shares the state of the store at `path` through the environment, as the lock does. */
export function roomStateInEnvironment(path: string): SharedRoomState {
  const name = `WEIR_INTERNAL_ROOM_${path}`;
  const prefix = `${Deno.pid} `; // a child process that inherits the environment has another id
  return {
    read() {
      const value = Deno.env.get(name) ?? "";
      return value.startsWith(prefix) ? value.slice(prefix.length) as RoomState : "none";
    },
    write: (state) => Deno.env.set(name, prefix + state),
  };
}
