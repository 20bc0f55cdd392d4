// `deno task test:unit`: runs every test file that needs no server process and no browser. A test
// file is a unit test unless it, or a helper or a part of the bench that it imports, runs programs or
// drives a browser.
// Unit tests run without the permission to start programs, so a wrong guess fails at once; tests
// that need denokv are ignored without it. Types are checked by `deno check`, which is quicker once.
import { readImports } from "./support/import_graph.ts";
import { readSource, sourceFiles } from "./support/source_files.ts";

const NEEDS_PROGRAM = /\bDeno\.Command\(|"playwright-core"/;

/** Helpers whose tests are ignored where programs may not run. */
const IGNORES_ITSELF = ["tests/support/denokv.ts"];

const files = [...await sourceFiles("tests"), ...await sourceFiles("bench")];
const imports = await readImports(files);
const heavy = new Set<string>();
for (const file of files) {
  if (NEEDS_PROGRAM.test(await readSource(file)) && !IGNORES_ITSELF.includes(file)) heavy.add(file);
}
for (const file of heavy) {
  for (const { from, to } of imports) if (to === file) heavy.add(from);
}
const tests = files.filter((file) => /_test\.tsx?$/.test(file) && !heavy.has(file));

// Loading modules takes longer than most tests, so several files share an isolate. They are dealt
// out by size, so that no isolate gets all the long ones.
const isolates = 12 * navigator.hardwareConcurrency;
const sizes = new Map(
  await Promise.all(tests.map(async (file) => {
    return [file, (await Deno.stat(file)).size] as const;
  })),
);
tests.sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
const folder = await Deno.makeTempDir({ prefix: "weir_unit_" });
for (let isolate = 0; isolate < isolates; isolate++) {
  const group = tests.filter((_, i) => i % isolates === isolate);
  const source = group.map((file) => `import ${JSON.stringify(`file://${Deno.cwd()}/${file}`)};\n`);
  await Deno.writeTextFile(`${folder}/${isolate}_test.ts`, source.join(""));
}
const permissions = ["net", "read", "write", "env", "sys", "import"].map((name) =>
  `--allow-${name}`
);
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "--no-check", "--no-prompt", ...permissions, "--parallel", ...Deno.args, folder],
  // Many tests wait for timers and the store, so more isolates than cores run at once.
  env: { DENO_JOBS: String(3 * navigator.hardwareConcurrency) },
  stdin: "null",
}).spawn().status;
await Deno.remove(folder, { recursive: true });
Deno.exit(code);
