import { pause } from "../shared/async/delay.ts";
import type { StoreFile } from "./store_file.ts";

/** Milliseconds between two looks for files that are not at their paths. */
const CHECK_INTERVAL_MS = 100;

/**
 * Opens files that another isolate has open, once their paths lead to them. Until then SQLite would
 * create new files, and this isolate would store events where the other one does not find them.
 *
 * @param open opens what is at the paths. If the files were removed meanwhile, what was opened is
 * closed, or the failure is ignored, and the wait continues.
 */
export async function openWhenThere<T extends { close(): void }>(
  file: Pick<StoreFile, "loss">,
  open: () => Promise<T>,
  wait = () => pause(CHECK_INTERVAL_MS),
): Promise<T> {
  for (;; await wait()) {
    if (file.loss() !== undefined) continue;
    try {
      const opened = await open();
      if (file.loss() === undefined) return opened;
      opened.close();
    } catch (cause) {
      if (file.loss() === undefined) throw cause;
    }
  }
}
