import assert from "node:assert/strict";
import { parseCommandLine } from "../../package/server/arguments.ts";

const run = (command: string | undefined, args: string[], env = {}) => ({
  kind: "run",
  command,
  args,
  env,
});

const refused = (reason: string) => ({
  kind: "refused",
  reason: `${reason} See npx weir-server --help.`,
});

const CASES: readonly (readonly [readonly string[], unknown])[] = [
  [[], run(undefined, [])],
  [["--port", "80", "--host=::1"], run(undefined, [], { WEIR_PORT: "80", WEIR_HOST: "::1" })],
  [["--data", "keys"], run(undefined, [], { WEIR_DATA: "keys" })],
  [
    ["--data=/srv", "keys", "init", "--force"],
    run("keys", ["init", "--force"], {
      WEIR_DATA: "/srv",
    }),
  ],
  [["keys", "--help"], run("keys", ["--help"])],
  [["publish", "-"], run("publish", ["-"])],
  [["backup", "a"], run("backup", ["a"])],
  [["restore", "--force", "a"], run("restore", ["--force", "a"])],
  [["export", "--channel", "a"], run("export", ["--channel", "a"])],
  [["import"], run("import", [])],
  [["--help"], { kind: "help" }],
  [["help"], { kind: "help" }],
  [["--version", "keys"], { kind: "version" }],
  [["--wrong"], refused("Unknown option '--wrong'.")],
  [["--port"], refused("Option '--port <value>' argument missing.")],
  [["start"], refused(`There is no command "start".`)],
  [["__proto__"], refused(`There is no command "__proto__".`)],
];

for (const [args, expected] of CASES) {
  Deno.test(`the arguments of weir-server: [${args.join(" ")}]`, () => {
    assert.deepEqual(parseCommandLine(args), expected);
  });
}
