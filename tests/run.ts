// `deno task test` runs all tests: first those that need no server process and no browser, many at
// once, then the others. `deno task test:unit` runs the first only.
// A test file is a unit test unless it, or a helper or a part of the bench that it imports, runs
// programs or drives a browser. `test:unit` runs without the permission to start programs, so a wrong
// guess fails at once; tests that need denokv are ignored there.
// Types are checked by `deno check`, which is quicker once.
//
// Options: `--unit`, `--junit=FOLDER` for reports; others are passed to `deno test`.
import { readImports } from "./support/import_graph.ts";
import { readSource, sourceFiles } from "./support/source_files.ts";

const NEEDS_PROGRAM = /\bDeno\.Command\(|"playwright-core"/;

/** Helpers whose tests are ignored where programs may not run. */
const IGNORES_ITSELF = ["tests/support/denokv.ts"];

const isUnitOnly = Deno.args.includes("--unit");
const reports = Deno.args.find((arg) => arg.startsWith("--junit="))?.slice("--junit=".length);
const options = Deno.args.filter((arg) => arg !== "--unit" && !arg.startsWith("--junit="));

const files = [...await sourceFiles("tests"), ...await sourceFiles("bench")];
const heavy = await findHeavy(files);
const tests = files.filter((file) => /_test\.tsx?$/.test(file));

const folder = await Deno.makeTempDir({ prefix: "weir_unit_" });
await writeGroups(folder, tests.filter((file) => !heavy.has(file)));
// Many tests wait for timers and the store, so more isolates than cores run at once.
const jobs = 3 * navigator.hardwareConcurrency;
const areUnitsGreen = await runTests("unit", [folder], jobs);
await Deno.remove(folder, { recursive: true });
const areOthersGreen = isUnitOnly ||
  await runTests(
    "programs",
    tests.filter((file) => heavy.has(file)),
    navigator.hardwareConcurrency,
  );
Deno.exit(areUnitsGreen && areOthersGreen ? 0 : 1);

/** Returns the files that run programs or drive browsers, and those that import them. */
async function findHeavy(files: readonly string[]): Promise<ReadonlySet<string>> {
  const heavy = new Set<string>();
  for (const file of files) {
    if (NEEDS_PROGRAM.test(await readSource(file)) && !IGNORES_ITSELF.includes(file)) {
      heavy.add(file);
    }
  }
  const imports = await readImports(files);
  for (const file of heavy) {
    for (const { from, to } of imports) if (to === file) heavy.add(from);
  }
  return heavy;
}

/**
 * Writes files that import several tests each: loading modules takes longer than most tests. Tests
 * are dealt out by size, so that no isolate gets all the long ones.
 */
async function writeGroups(folder: string, tests: readonly string[]): Promise<void> {
  const sized = await Promise.all(
    tests.map(async (file) => ({ file, size: (await Deno.stat(file)).size })),
  );
  sized.sort((a, b) => b.size - a.size);
  const groups = 12 * navigator.hardwareConcurrency;
  for (let group = 0; group < groups; group++) {
    const source = sized.filter((_, i) => i % groups === group)
      .map(({ file }) => `import ${JSON.stringify(`file://${Deno.cwd()}/${file}`)};\n`);
    await Deno.writeTextFile(`${folder}/${group}_test.ts`, source.join(""));
  }
}

/** Returns whether all tests passed. */
async function runTests(name: string, paths: readonly string[], jobs: number): Promise<boolean> {
  const permissions = isUnitOnly
    ? ["net", "read", "write", "env", "sys", "import"].map((name) => `--allow-${name}`)
    : ["--allow-all"];
  const report = reports === undefined ? [] : [`--junit-path=${reports}/${name}.xml`];
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--no-check",
      "--no-prompt",
      "--parallel",
      ...permissions,
      ...report,
      ...options,
      ...paths,
    ],
    env: { DENO_JOBS: String(jobs) },
    stdin: "null",
  }).spawn().status;
  return success;
}
