import assert from "node:assert/strict";
import { guardedServer } from "../support/guarded.ts";
import { isMissing } from "../support/programs.ts";

/** The program, from the packages of `schemathesis/requirements.txt`. */
const SCHEMATHESIS = Deno.env.get("SCHEMATHESIS") ?? "schemathesis";
const FOLDER = new URL("./schemathesis/", import.meta.url);
const FILES = ["schemathesis.toml", "hooks.py"];
/** Requests for each operation and kind of data. */
const EXAMPLES = 10;

const RIGHTS = {
  publish: ["**"],
  subscribe: ["**"],
  presence: ["**"],
  manage: ["**"],
  admin: true,
};

Deno.test({
  name: "schemathesis finds nothing that contradicts the description, with all checks",
  ignore: isMissing(
    [SCHEMATHESIS, "--version"],
    "schemathesis is missing: pip install -r tests/routes/schemathesis/requirements.txt",
  ),
  async fn() {
    await using guarded = await guardedServer();
    const claims = { exp: Math.floor(Date.now() / 1_000) + 3_600 };
    const env = {
      WEIR_TEST_TOKEN: await guarded.token(RIGHTS, claims),
      WEIR_OTHER_TOKEN: await guarded.token({ ...RIGHTS, tenant: "other" }, claims),
      NO_COLOR: "1",
    };
    // It keeps what it has found in the folder in which it runs.
    const folder = await Deno.makeTempDir({ prefix: "weir_schemathesis_" });
    for (const name of FILES) await Deno.copyFile(new URL(name, FOLDER), `${folder}/${name}`);
    const { code, stdout, stderr } = await new Deno.Command(SCHEMATHESIS, {
      args: [
        "--config-file=schemathesis.toml",
        "run",
        `${guarded.url}/openapi.json`,
        "--checks=all",
        `--max-examples=${EXAMPLES}`,
        "--generation-database=none",
        "--warnings=off",
      ],
      cwd: folder,
      env,
    }).output();
    await Deno.remove(folder, { recursive: true });
    const said = new TextDecoder().decode(stdout);
    assert.equal(code, 0, `${said}\n${new TextDecoder().decode(stderr)}`);
    const { operations, tested } = /Selected: (?<operations>\d+)\/.+\n\s*Tested: (?<tested>\d+)/
      .exec(said)?.groups ?? {};
    assert.ok(Number(operations) > 30, said);
    assert.equal(tested, operations);
  },
});
