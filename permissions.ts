// Prints the flags for `deno run` with the permissions that Weir needs with its settings.
// deno-lint-ignore-file no-console
import { parseConfig } from "./lib/config.ts";
import { permissionFlags } from "./lib/permissions.ts";

/** With an invalid setting `main.ts` says what is wrong, and exits. */
const ALL = ["--no-prompt", "--allow-net", "--allow-read", "--allow-write", "--allow-env"];

console.log(flags().join(" "));

function flags(): readonly string[] {
  try {
    return permissionFlags(parseConfig(Deno.env.toObject()));
  } catch {
    return ALL;
  }
}
