import type { CursorStore } from "../api.ts";

/** The part of `localStorage` and `sessionStorage` that is needed. */
export interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * Makes a store that keeps cursors in `storage`, under `prefix` and the channel's name. Pass a
 * function if access to the storage may be denied: `webStorage(() => localStorage)`.
 */
export function webStorage(
  storage: WebStorage | (() => WebStorage),
  prefix = "weir:",
): CursorStore {
  const getStorage = () => typeof storage === "function" ? storage() : storage;
  return {
    get: (channel) => getStorage().getItem(prefix + channel) ?? undefined,
    set: (channel, cursor) => getStorage().setItem(prefix + channel, cursor),
  };
}
