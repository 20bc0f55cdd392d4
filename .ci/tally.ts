// Prints `N passed, N failed` from the JUnit reports of several runs of the same tests. A test passes
// if it passes in every run; a test that a run skips or lacks fails. Failures are printed again with
// their messages, because the output above may be long.
// deno-lint-ignore-file no-console

const MESSAGE_CHARACTERS = 2_000;

const [status, ...paths] = Deno.args;
const runs = await Promise.all(paths.map(readRun));
const names = new Set(runs.flatMap((run) => [...run.keys()]));
let passed = 0;
for (const name of names) {
  const results = runs.map((run) => run.get(name) ?? { outcome: "missing", message: "" });
  if (results.every(({ outcome }) => outcome === "passed")) {
    passed++;
    continue;
  }
  console.log(`${name}: ${results.map(({ outcome }) => outcome).join(", then ")}`);
  for (const { message } of results) if (message !== "") console.log(message);
}
// A failed check before the tests, or a file that does not load, is in no report.
const failed = names.size - passed || (status === "0" && passed > 0 ? 0 : 1);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

interface Result {
  readonly outcome: string;
  readonly message: string;
}

/** Reads the result of each test, by file and name. Steps belong to their test and do not count. */
async function readRun(path: string): Promise<ReadonlyMap<string, Result>> {
  const results = new Map<string, Result>();
  const xml = await Deno.readTextFile(path).catch(() => "");
  const testcase = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g;
  for (const [, name = "", file = "", inner = ""] of xml.matchAll(testcase)) {
    const isStep = [...name.matchAll(/ &gt; /g)]
      .some(({ index }) => results.has(`${file}: ${name.slice(0, index)}`));
    if (isStep) continue;
    const outcome = /<(failure|error|skipped)/.exec(inner)?.[1] ?? "passed";
    const message = inner.replace(/<[^>]*>/g, "").trim().slice(0, MESSAGE_CHARACTERS);
    results.set(`${file}: ${name}`, { outcome, message });
  }
  return results;
}
