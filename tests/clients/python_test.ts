import { isMissing } from "../support/programs.ts";
import { checkClients } from "./check_clients.ts";
import { startProgram } from "../support/line_program.ts";
import { librariesOf } from "./libraries.ts";

const HERE = new URL(".", import.meta.url).pathname;
const PYTHON = Deno.env.get("PYTHON") ?? "python3";

const PACKAGES_MISSING = isMissing(
  [PYTHON, "-c", "import httpx_sse, requests, sseclient, websockets"],
  `${PYTHON} lacks packages: \`pip install -r tests/clients/python/requirements.txt\`, or set PYTHON`,
);

Deno.test("clients in Python receive each event once", { ignore: PACKAGES_MISSING }, async (t) => {
  await checkClients(t, librariesOf("python"), ({ program }, url) => {
    return startProgram([PYTHON, `${HERE}${program}`, url]);
  });
});
