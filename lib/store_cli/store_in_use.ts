import { CliError } from "../keys_cli/cli_error.ts";
import type { StoreInUseError } from "../kv/store.ts";

/** Says what to do before a command that needs the file for itself. */
export function storeInUse(cause: StoreInUseError): CliError {
  return new CliError(
    `Cannot open ${cause.path}: another process has it open. Stop the server that uses it, and start the command again.`,
    { cause },
  );
}
