import { isMissing } from "../support/programs.ts";
import { build, BUILT } from "./build.ts";
import { checkClients } from "./check_clients.ts";
import { startProgram } from "../support/line_program.ts";
import { librariesOf } from "./libraries.ts";

const GO_MISSING = isMissing(["go", "version"], "Go is not installed");

Deno.test("clients in Go receive each event once", { ignore: GO_MISSING }, async (t) => {
  await build("go", {
    args: ["build", "-mod=readonly", "-o", `${BUILT}go/`, "./..."],
    folder: "go/",
  });
  await checkClients(t, librariesOf("go"), ({ program }, url) => {
    const [, name = ""] = program.split("/");
    return startProgram([`${BUILT}go/${name}`, url]);
  });
});
