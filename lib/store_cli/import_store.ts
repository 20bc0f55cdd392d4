import { dirname } from "node:path";
import { type Config, isKvUrl } from "../config.ts";
import { CliError } from "../keys_cli/cli_error.ts";
import { openStore, type Store, StoreEmptiedError, StoreInUseError } from "../kv/store.ts";
import { storeInUse } from "./store_in_use.ts";

/**
 * Opens the store for an import, until it is disposed of.
 *
 * @throws {CliError} if a server has its file open, or it cannot be opened.
 */
export async function openImportStore(kv: Config["kv"]): Promise<Store & AsyncDisposable> {
  if (kv === ":memory:") throw new CliError("Nothing can be imported to a store in memory.");
  try {
    if (kv !== undefined && !isKvUrl(kv)) {
      await Deno.mkdir(dirname(kv), { recursive: true });
    }
    const store = await openStore(kv);
    return { ...store, [Symbol.asyncDispose]: () => store.close() };
  } catch (cause) {
    if (cause instanceof StoreInUseError) throw storeInUse(cause);
    const isExpected = cause instanceof StoreEmptiedError;
    const why = cause instanceof Error ? cause.message : "unknown";
    throw new CliError(isExpected ? why : `Cannot open the store that WEIR_KV names: ${why}`, {
      cause,
    });
  }
}
