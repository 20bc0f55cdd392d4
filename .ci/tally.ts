// Prints `N passed, N failed` of the JUnit reports of several runs of the same tests: a test has
// passed if it passed in every run, and one that was skipped or is missing in a run has failed. What
// failed is said again with its message, since the output above may be long.
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
// A check before the tests, or a file that could not be loaded, is in no report.
const failed = names.size - passed || (status === "0" && passed > 0 ? 0 : 1);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

interface Result {
  readonly outcome: string;
  readonly message: string;
}

/** How each test ended, by its file and name. Steps are parts of their test and don't count. */
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
