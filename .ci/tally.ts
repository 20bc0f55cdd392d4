// Prints `N passed, N failed` from the JUnit reports of a run's parts. A skipped test fails, and so
// does a part that has no report. Failures are printed again with their messages, because the output
// above may be long.
// deno-lint-ignore-file no-console

const MESSAGE_CHARACTERS = 2_000;

const [status, ...paths] = Deno.args;
const results = (await Promise.all(paths.map(readReport))).flat();
const failures = results.filter(({ outcome }) => outcome !== "passed");
for (const { test, outcome, message } of failures) {
  console.log(`${test}: ${outcome}`);
  if (message !== "") console.log(message);
}
const passed = results.length - failures.length;
// A failed check before the tests, or a file that does not load, is in no report.
const failed = failures.length || (status === "0" && passed > 0 ? 0 : 1);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

interface Result {
  readonly test: string;
  readonly outcome: string;
  readonly message: string;
}

/** Reads the result of each test. Steps belong to their test and do not count. */
async function readReport(path: string): Promise<readonly Result[]> {
  const results: Result[] = [];
  const xml = await Deno.readTextFile(path).catch(() => undefined);
  if (xml === undefined) return [{ test: path, outcome: "missing", message: "" }];
  const names = new Set<string>();
  const testcase = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g;
  for (const [, name = "", file = "", inner = ""] of xml.matchAll(testcase)) {
    const isStep = [...name.matchAll(/ &gt; /g)]
      .some(({ index }) => names.has(`${file}: ${name.slice(0, index)}`));
    if (isStep) continue;
    const test = `${file}: ${name}`;
    names.add(test);
    const outcome = /<(failure|error|skipped)/.exec(inner)?.[1] ?? "passed";
    const message = inner.replace(/<[^>]*>/g, "").trim().slice(0, MESSAGE_CHARACTERS);
    results.push({ test, outcome, message });
  }
  return results;
}
