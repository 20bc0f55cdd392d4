import { packedClient } from "./packed_client.ts";

/** A folder of an npm project with the client's package installed and nothing else. */
export class NpmProject implements AsyncDisposable {
  readonly #folder: URL;

  private constructor(folder: URL) {
    this.#folder = folder;
  }

  static async make(): Promise<NpmProject> {
    const folder = await Deno.makeTempDir({ prefix: "weir_package_" });
    const project = new NpmProject(new URL(`file://${folder}/`));
    try {
      const from = await packedClient();
      await Deno.copyFile(from, project.file("client.tgz"));
      await project.write("package.json", `{ "type": "module", "private": true }`);
      await project.run([
        "npm",
        "install",
        "--offline",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "./client.tgz",
      ]);
      return project;
    } catch (cause) {
      await project[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Returns a file of the installed package. */
  client(name: string): URL {
    return this.file(`node_modules/weir-client/${name}`);
  }

  file(path: string): URL {
    return new URL(path, this.#folder);
  }

  async write(path: string, text: string): Promise<void> {
    await Deno.writeTextFile(this.file(path), text);
  }

  /** Links a package of this repository as if it were installed. */
  async link(name: string): Promise<void> {
    // Deno's cache has it at `…/<name>/<version>/`.
    const [, folder = ""] = new RegExp(`^(.*/${name}/[^/]+)/`).exec(import.meta.resolve(name)) ??
      [];
    const link = this.file(`node_modules/${name}`);
    await Deno.mkdir(new URL(".", link), { recursive: true });
    await Deno.symlink(new URL(folder).pathname, link);
  }

  /** Runs a program and returns its output. @throws {Error} if it fails. */
  async run(
    [program = "", ...args]: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd: this.#folder,
      env,
    }).output();
    const text = new TextDecoder().decode(stdout);
    if (code !== 0) throw new Error(`${program}: ${text}${new TextDecoder().decode(stderr)}`);
    return text;
  }

  /** Starts a program, which is killed when the result is disposed. */
  start([program = "", ...args]: readonly string[]): AsyncDisposable {
    const process = new Deno.Command(program, {
      args: [...args],
      cwd: this.#folder,
      stdin: "null",
    }).spawn();
    return {
      async [Symbol.asyncDispose]() {
        process.kill("SIGKILL");
        await process.status;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
