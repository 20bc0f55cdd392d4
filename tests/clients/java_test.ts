import { isMissing } from "../support/programs.ts";
import { build, BUILT } from "./build.ts";
import { checkClients } from "./check_clients.ts";
import { startProgram } from "../support/line_program.ts";
import { librariesOf } from "./libraries.ts";

const HERE = new URL(".", import.meta.url).pathname;

const JAVA_MISSING = isMissing(["javac", "--version"], "a JDK is not installed");
const MAVEN_MISSING = isMissing(["mvn", "--version"], "Maven is not installed");

Deno.test("clients in Java receive each event once", {
  ignore: JAVA_MISSING || MAVEN_MISSING,
}, async (t) => {
  await build("mvn", {
    args: ["-q", "-B", "dependency:copy-dependencies", `-DoutputDirectory=${BUILT}java`],
    folder: "java/",
  });
  await checkClients(t, librariesOf("java"), ({ program }, url) => {
    return startProgram(["java", "-cp", `${BUILT}java/*`, `${HERE}${program}`, url]);
  });
});
