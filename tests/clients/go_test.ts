import { isMissing } from "../support/programs.ts";
import { checkClients } from "./check_clients.ts";
import { startProgram } from "./client_program.ts";
import { librariesOf } from "./libraries.ts";

const MODULE = new URL("go/", import.meta.url).pathname;

const GO_MISSING = isMissing(["go", "version"], "Go is not installed");

Deno.test("clients in Go receive each event once", { ignore: GO_MISSING }, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "weir_go_" });
  try {
    await build(folder);
    await checkClients(t, librariesOf("go"), ({ program }, url) => {
      const [, name = ""] = program.split("/");
      return startProgram([`${folder}/${name}`, url]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Builds the programs. Go fetches the modules of go.sum that it does not have. */
async function build(folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("go", {
    args: ["build", "-mod=readonly", "-o", `${folder}/`, "./..."],
    cwd: MODULE,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
