import type { CursorStore } from "../api.ts";

/** What is needed of `localStorage` and `sessionStorage`. */
export interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * Keeps cursors in `storage`, under `prefix` and the channel's name. Give a function where reaching
 * for the storage may itself be refused: `webStorage(() => localStorage)`.
 */
export function webStorage(
  storage: WebStorage | (() => WebStorage),
  prefix = "weir:",
): CursorStore {
  const reach = () => typeof storage === "function" ? storage() : storage;
  return {
    get: (channel) => reach().getItem(prefix + channel) ?? undefined,
    set: (channel, cursor) => reach().setItem(prefix + channel, cursor),
  };
}
