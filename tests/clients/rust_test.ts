import { isMissing } from "../support/programs.ts";
import { build, BUILT } from "./build.ts";
import { checkClients } from "./check_clients.ts";
import { startProgram } from "../support/line_program.ts";
import { librariesOf } from "./libraries.ts";

const CARGO_MISSING = isMissing(["cargo", "--version"], "cargo is not installed");

Deno.test("clients in Rust receive each event once", { ignore: CARGO_MISSING }, async (t) => {
  await build("cargo", {
    args: ["build", "--locked", "--target-dir", `${BUILT}rust`],
    folder: "rust/",
  });
  await checkClients(t, librariesOf("rust"), ({ program }, url) => {
    const name = program.split("/").at(-1)?.replace(".rs", "");
    return startProgram([`${BUILT}rust/debug/${name}`, url]);
  });
});
