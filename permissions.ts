// Prints the flags of `deno run` with the permissions that a program needs with its settings, for use
// in a shell: `deno run $(deno run --allow-env permissions.ts) main.ts --listen`. The argument `keys`
// prints those for keys.ts.
// deno-lint-ignore-file no-console
import { parseConfig } from "./lib/config.ts";
import { flagsToReport, permissionFlags } from "./lib/permissions.ts";

const flags = readFlags().map((flag) =>
  // A shell splits what a command prints at spaces, so a path with one allows all paths.
  /\s/.test(flag) ? flag.slice(0, flag.indexOf("=")) : flag
);
console.log(flags.join(" "));

function readFlags(): readonly string[] {
  try {
    const config = parseConfig(Deno.env.toObject());
    return permissionFlags(config, Deno.args.includes("keys") ? "keys" : "server");
  } catch {
    return flagsToReport(); // the program says what is wrong
  }
}
