import assert from "node:assert/strict";
import { buildIfChanged, isInput } from "../../islands/build_if_changed.ts";
import { readImports } from "../support/import_graph.ts";
import { sourceFiles } from "../support/source_files.ts";

/** A source file and a build that copies it, counted. */
class Project implements AsyncDisposable {
  builds = 0;
  /** Runs in the middle of each build. */
  during: () => void | Promise<void> = () => {};
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  static async create(): Promise<Project> {
    const project = new Project(await Deno.makeTempDir({ prefix: "weir_build_" }));
    await Deno.mkdir(`${project.#root}/src/deep`, { recursive: true });
    await project.write("src/deep/source.ts", "1");
    return project;
  }

  async write(path: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.#root}/${path}`, text);
  }

  async remove(path: string): Promise<void> {
    await Deno.remove(`${this.#root}/${path}`);
  }

  async build(): Promise<void> {
    await buildIfChanged({
      inputs: [new URL(`file://${this.#root}/src`)],
      folder: new URL(`file://${this.#root}/dist/`),
      build: async () => {
        this.builds++;
        await this.write("dist/a.js", await Deno.readTextFile(`${this.#root}/src/deep/source.ts`));
        await this.during();
        await this.write("dist/b.js", "b");
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }
}

Deno.test("a second build without a change builds nothing", async () => {
  await using project = await Project.create();
  await project.build();
  await project.build();
  assert.equal(project.builds, 1);
});

for (
  const [what, change] of [
    ["a changed source", (project) => project.write("src/deep/source.ts", "2")],
    ["a new source", (project) => project.write("src/other.ts", "1")],
    ["a removed source", (project) => project.remove("src/deep/source.ts")],
    ["a changed bundle", (project) => project.write("dist/a.js", "2")],
    ["a missing bundle", (project) => project.remove("dist/b.js")],
    ["a missing stamp", (project) => project.remove("dist/.stamp")],
  ] satisfies readonly (readonly [string, (project: Project) => Promise<void>])[]
) {
  Deno.test(`${what} leads to a new build`, async () => {
    await using project = await Project.create();
    await project.write("src/second.ts", "1");
    await project.build();
    await change(project);
    await project.build().catch(() => {}); // the removed source cannot be copied
    assert.equal(project.builds, 2);
  });
}

Deno.test("an interrupted build is built again, even where it replaced a complete one", async () => {
  await using project = await Project.create();
  await project.build();
  await project.write("src/deep/source.ts", "2");
  project.during = () => Promise.reject(new Error("interrupted"));
  await assert.rejects(project.build());
  await project.write("src/deep/source.ts", "1");
  await project.write("dist/a.js", "1");
  project.during = () => {};
  await project.build();
  await project.build();
  assert.equal(project.builds, 3);
});

Deno.test("a source that changes during a build is built again", async () => {
  await using project = await Project.create();
  project.during = () => project.write("src/deep/source.ts", "2");
  await project.build();
  project.during = () => {};
  await project.build();
  await project.build();
  assert.equal(project.builds, 2);
});

Deno.test("everything that the islands import is an input of their build", async () => {
  const imports = await readImports(await sourceFiles("islands"));
  const files = imports.map(({ to }) => to).filter((to) => !to.startsWith("npm:"));
  assert.ok(files.length > 50, `only ${files.length} imports were found`);
  assert.deepEqual(files.filter((file) => !isInput(file)), []);
});
