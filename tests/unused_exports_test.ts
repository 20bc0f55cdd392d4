import assert from "node:assert/strict";
import ts from "typescript";
import { readSource, sourceFiles } from "./support/source_files.ts";

/** Folders whose exports must have an importer. */
const CHECKED = ["lib", "routes", "islands", "package"];

/** Their exports are the interface of the npm package, and of the islands' bundles. */
const ENTRY_POINTS: readonly string[] = [
  "lib/client/client.ts",
  "lib/client/otel/otel.ts",
  "lib/client/rtc/rtc.ts",
  "lib/client/server/server.ts",
  "lib/client/tabs/tabs.ts",
  "lib/client/frameworks/react.ts",
  "lib/client/frameworks/svelte.ts",
  "lib/client/frameworks/vue.ts",
];

interface Source {
  readonly path: string;
  readonly text: string;
}

interface Names {
  readonly exported: readonly string[];
  /** By the path of the file that they come from; `*` stands for all of its names. */
  readonly imported: readonly { readonly from: string; readonly name: string }[];
}

Deno.test("every export has an importer", async () => {
  const sources: Source[] = [];
  for (const path of await sourceFiles("")) sources.push({ path, text: await readSource(path) });
  const checked = sources.map(({ path }) => path).filter((path) =>
    CHECKED.some((folder) => path.startsWith(`${folder}/`)) && !ENTRY_POINTS.includes(path)
  );
  const unused = unusedExports(sources, checked);
  assert.equal(
    unused.length,
    0,
    `Nobody imports these exports. Remove "export", or the code:\n${unused.join("\n")}`,
  );
});

Deno.test("an export that only its own file uses is reported", () => {
  const sources = [
    { path: "lib/a.ts", text: "export const used = 1, unused = 2; export type T = typeof used;" },
    { path: "lib/b/b.ts", text: 'import { used as mine } from "../a.ts"; export class B {}' },
    { path: "lib/c.ts", text: 'export { B } from "./b/b.ts"; export default mine;' },
    { path: "main.ts", text: 'import c from "./lib/c.ts"; const all = import("./lib/d.ts");' },
    { path: "lib/d.ts", text: 'export function d(t: import("./a.ts").T) {}' },
  ];
  const unused = unusedExports(sources, ["lib/a.ts", "lib/b/b.ts", "lib/c.ts", "lib/d.ts"]);
  assert.deepEqual(unused, ["lib/a.ts: unused", "lib/c.ts: B"]);
});

/** Returns `path: name` of each export of `checked` that no other file of `sources` imports. */
function unusedExports(sources: readonly Source[], checked: readonly string[]): readonly string[] {
  const names = new Map(sources.map((source) => [source.path, namesOf(source)]));
  const used = new Set<string>();
  for (const [path, { imported }] of names) {
    for (const { from, name } of imported) if (from !== path) used.add(`${from}: ${name}`);
  }
  return checked.flatMap((path) =>
    (names.get(path)?.exported ?? []).map((name) => `${path}: ${name}`)
      .filter((name) => !used.has(name) && !used.has(`${path}: *`))
  );
}

function namesOf({ path, text }: Source): Names {
  const exported: string[] = [];
  const imported: { readonly from: string; readonly name: string }[] = [];
  const importAll = (specifier: ts.Node | undefined, ...found: readonly string[]) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const from = pathOf(specifier.text, path);
    if (from !== undefined) imported.push(...found.map((name) => ({ from, name })));
  };
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node)) {
      importAll(node.moduleSpecifier, ...namesOfImport(node.importClause));
    } else if (ts.isExportDeclaration(node)) {
      const { exportClause, moduleSpecifier } = node;
      const elements = exportClause !== undefined && ts.isNamedExports(exportClause)
        ? exportClause.elements
        : undefined;
      importAll(
        moduleSpecifier,
        ...elements?.map((element) => (element.propertyName ?? element.name).text) ?? ["*"],
      );
      exported.push(...elements?.map(({ name }) => name.text) ?? []);
    } else if (ts.isExportAssignment(node)) {
      exported.push("default");
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      importAll(node.arguments[0], "*");
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      importAll(node.argument.literal, node.qualifier?.getText().split(".")[0] ?? "*");
    } else if (ts.canHaveModifiers(node)) {
      exported.push(...namesOfDeclaration(node));
    }
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true), visit);
  return { exported, imported };
}

function namesOfImport(clause: ts.ImportClause | undefined): readonly string[] {
  const { name, namedBindings } = clause ?? {};
  const names = namedBindings === undefined
    ? []
    : ts.isNamespaceImport(namedBindings)
    ? ["*"]
    : namedBindings.elements.map((element) => (element.propertyName ?? element.name).text);
  return name === undefined ? names : ["default", ...names];
}

function namesOfDeclaration(node: ts.HasModifiers): readonly string[] {
  const modifiers = new Set(ts.getModifiers(node)?.map(({ kind }) => kind));
  if (!modifiers.has(ts.SyntaxKind.ExportKeyword)) return [];
  if (modifiers.has(ts.SyntaxKind.DefaultKeyword)) return ["default"];
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.map(({ name }) => name.getText());
  }
  return "name" in node && node.name !== undefined ? [(node.name as ts.Node).getText()] : [];
}

/** Resolves an import of this repository to the path of its file. */
function pathOf(specifier: string, importer: string): string | undefined {
  if (specifier === "weir-client") return "lib/client/client.ts";
  if (specifier === "weir-client/tabs") return "lib/client/tabs/tabs.ts";
  const [, framework] = /^weir-client\/(react|svelte|vue)$/.exec(specifier) ?? [];
  if (framework !== undefined) return `lib/client/frameworks/${framework}.ts`;
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, `file:///${importer}`).pathname.slice(1);
}
