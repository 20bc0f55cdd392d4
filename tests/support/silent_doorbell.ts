import type { Doorbell } from "../../lib/kv/doorbell.ts";

/** Never rings: only polls find what other isolates have written. */
export const SILENT_DOORBELL: Doorbell = {
  prepare() {},
  committed() {},
  ring() {},
  listen: () => ({ [Symbol.dispose]() {} }),
  close: () => Promise.resolve(),
};
