import assert from "node:assert/strict";
import { readSource } from "../support/source_files.ts";
import { PACKAGE_MISSING, ServerInstallation, Started } from "../support/weir_server_package.ts";

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** Returns the instructions of a Dockerfile without line continuations. */
function parseDockerfile(text: string): readonly Instruction[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [, name = "", rest = ""] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
    return { name, text: rest };
  });
}

Deno.test("the steps of the Dockerfile make a folder whose command serves and stops", {
  ignore: PACKAGE_MISSING,
}, async () => {
  await using context = await ServerInstallation.make(); // has the tarball
  const root = context.path("root");
  await Deno.mkdir(`${root}/tmp`, { recursive: true });
  // Absolute paths are those of the container; the user `node` exists only there.
  const inRoot = (text: string) =>
    text.replaceAll(/(?<=^|[\s="])\/(?=(?:tmp|opt|data)\b)/g, `${root}/`);
  const env: Record<string, string> = { WEIR_DRAIN: "0s", WEIR_PORT: "0" };
  let command: readonly string[] = [];
  const names: string[] = [];
  for (const { name, text } of parseDockerfile(await readSource("deploy/docker/Dockerfile"))) {
    names.push(name);
    const steps = inRoot(text);
    if (name === "COPY" || name === "RUN") {
      const script = name === "COPY"
        ? `cp ${steps}`
        : steps.replace(/ --(?:owner|group)=node/g, "");
      const folder = name === "COPY" ? "package" : "root";
      const { code, stderr } = await context.run("sh", [
        "-ec",
        `cd ${context.path(folder)}; export npm_config_prefer_offline=true; ${script}`,
      ]);
      assert.equal(code, 0, `${name} ${text}: ${stderr}`);
    } else if (name === "ENV") {
      for (const pair of steps.split(" ")) {
        const [variable = "", value = ""] = pair.split("=");
        env[variable] = value;
      }
    } else if (name === "ENTRYPOINT") command = JSON.parse(steps);
  }
  assert.deepEqual([names[0], names.at(-1)], ["FROM", "ENTRYPOINT"]);
  assert.deepEqual(env["WEIR_DATA"], `${root}/data`);

  const start = (args: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    const [program = "", ...before] = command;
    return new Started(
      new Deno.Command(program, {
        args: [...before, ...args],
        cwd: root,
        env: { ...env, ...more },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  };
  await using open = start([]);
  assert.equal(await open.exitCode(), 1);
  assert.match(open.stderr, /Cannot listen on 0\.0\.0\.0 without keys/);
  await using keys = start(["keys", "init"]);
  assert.equal(await keys.exitCode(), 0);
  // Tests stay on this machine.
  await using server = start([], {
    WEIR_JWKS: `${root}/data/keys/jwks.json`,
    WEIR_HOST: "127.0.0.1",
  });
  const response = await fetch(`${await server.url()}/readyz`);
  assert.equal(response.status, 200, await response.text());
  server.kill("SIGTERM");
  assert.equal(await server.exitCode(), 0);
});
