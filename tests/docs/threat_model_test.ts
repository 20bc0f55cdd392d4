import assert from "node:assert/strict";
import { sourceFiles } from "../support/source_files.ts";

const ROOT = new URL("../../", import.meta.url);

/** The suites that test access control: each belongs to a threat. */
const SECURITY_SUITES = [
  /^tests\/lib\/auth\/\w+_test\.ts$/,
  /^tests\/routes\/\w*(?:access|anonymous|audit|authority|keys|limits|origins|revocation|secrets|tenants|tickets)_test\.ts$/,
];

Deno.test("every test file that docs/threat_model.md names exists", async () => {
  const named = namedFiles(await readPage());
  const files = await allTests();
  assert.ok(named.size > 30, `only ${named.size} files are named`);
  assert.deepEqual([...named].filter((path) => !files.includes(path)), []);
});

Deno.test("every threat in docs/threat_model.md names a test file", async () => {
  const [, section = ""] =
    /^## Attackers and defences\n(.*?)^## Out of scope/ms.exec(await readPage()) ?? [];
  const threats = section.split(/^- /m).slice(1);
  assert.ok(threats.length >= 50, `only ${threats.length} threats`);
  for (const threat of threats) {
    assert.match(threat, /^\*\*.*?\.\*\*/s, `${threat} says what the attacker does`);
    assert.match(threat, /\bTests:\s/, threat);
    assert.ok(namedFiles(threat).size > 0, threat);
  }
});

Deno.test("docs/threat_model.md names every suite that tests access control", async () => {
  const named = namedFiles(await readPage());
  const suites = (await allTests()).filter((path) =>
    SECURITY_SUITES.some((suite) => suite.test(path))
  );
  assert.ok(suites.length > 25, `only ${suites.length} suites`);
  assert.deepEqual(suites.filter((path) => !named.has(path)), []);
});

async function readPage(): Promise<string> {
  return await Deno.readTextFile(new URL("docs/threat_model.md", ROOT));
}

async function allTests(): Promise<readonly string[]> {
  return [...await sourceFiles("tests"), ...await sourceFiles("bench")];
}

function namedFiles(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/`((?:tests|bench)\/[^`]+)`/g)].map(([, path = ""]) => path));
}
