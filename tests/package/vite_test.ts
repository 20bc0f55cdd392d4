/**
 * The package in projects of create-vite 9.3: `tests/vite` has its templates, unchanged except for the
 * app, with one set of packages, `npm install --prefix tests/vite`.
 */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { serveSite, type Site } from "../support/app_site.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { LocalServer } from "../support/local_server.ts";
import { namesIn } from "../support/members.ts";
import { packedClient } from "../support/packed_client.ts";
import { isMissing } from "../support/programs.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { until } from "../support/until.ts";

const VITE = new URL("../vite/", import.meta.url);
const DOCS = new URL("../../docs/client.md", import.meta.url);

/** The client's first load in an app that Vite has built. */
const MAX_VITE_GZIP_BYTES = 10_800;

const VITE_MISSING = isMissing(
  ["node", new URL("node_modules/vite/bin/vite.js", VITE).pathname, "--version"],
  "Vite is missing: run `npm install --ignore-scripts --prefix tests/vite`",
);
const options = { ignore: VITE_MISSING || CHROMIUM_MISSING };

interface Template {
  readonly name: string;
  /** Language of the example in docs/client.md. */
  readonly language: string;
  readonly app: string;
  /** Wraps the example where it is not the app itself. */
  readonly files?: Readonly<Record<string, string>>;
  readonly check: readonly (readonly string[])[];
}

const TEMPLATES: readonly Template[] = [
  {
    name: "react",
    language: "tsx",
    app: "src/room.tsx",
    files: { "src/App.tsx": `export { Room as default } from "./room.tsx";\n` },
    check: [["typescript-7/bin/tsc", "-b"]],
  },
  {
    name: "vue",
    language: "vue",
    app: "src/App.vue",
    check: [["vue-tsc/bin/vue-tsc.js", "-b"]],
  },
  {
    name: "svelte",
    language: "svelte",
    app: "src/App.svelte",
    check: [
      ["svelte-check/bin/svelte-check", "--tsconfig", "./tsconfig.app.json"],
      ["typescript/bin/tsc", "-p", "tsconfig.node.json"],
    ],
  },
];

for (const { name, language, app, files = {}, check } of TEMPLATES) {
  Deno.test(
    `the example for ${name} compiles in Vite's template and works in a browser`,
    options,
    async () => {
      await using server = await LocalServer.start();
      await using project = await Project.make(name);
      const example = await exampleOf(language);
      assert.ok(example.includes("http://127.0.0.1:8000"));
      await project.write(app, example.replace("http://127.0.0.1:8000", server.url));
      for (const [path, text] of Object.entries(files)) await project.write(path, text);
      for (const command of check) await project.run(command);
      await using site = await project.build();
      await using chromium = await Chromium.open();
      const { page, errors } = chromium;
      await page.goto(site.url);
      await shows(page, "p", "open, 1 here");
      await page.getByRole("button", { name: "Say hello" }).click();
      await shows(page, "ul", "hello");
      await publish(server.url, "room:7", { text: "from elsewhere" });
      await page.locator("li", { hasText: "from elsewhere" }).waitFor();
      assert.deepEqual(errors, []);
    },
  );
}

for (const name of ["vue", "svelte"]) {
  Deno.test(
    `the functions for ${name} follow their channel, and end with their component`,
    options,
    async () => {
      await using server = await LocalServer.start();
      await using project = await Project.make(name);
      const prefix = newChannel();
      const [a, b] = [`${prefix}:a`, `${prefix}:b`];
      await publish(server.url, a, { n: 7 });
      await project.write(`src/App.${name}`, await project.read(`src/Hooks.${name}`));
      await using site = await project.build();
      await using chromium = await Chromium.open();
      const { page, errors } = chromium;
      const sent = await watchSockets(page);
      await page.goto(`${site.url}/?${new URLSearchParams({ weir: server.url, prefix })}`);
      const click = (button: string) =>
        page.getByRole("button", { name: button, exact: true }).click();
      await shows(page, "output", "open");
      await shows(page, "ul", "7 event");
      await shows(page, "i", "ann red");
      assert.equal(sent("subscribe").filter((channel) => channel === a).length, 1);
      assert.equal(sent("enter").length, 1);
      await click("blue");
      await shows(page, "i", "ann blue");
      assert.deepEqual(sent("leave"), []);
      await click("publish");
      await shows(page, "ul", "7 event1 event");

      await click("toggle");
      await until("it has left", async () => (await namesIn(server.url, a)).length === 0);
      await until("it reads no longer", () => sent("unsubscribe").includes(a));
      await publish(server.url, a, { n: 8 });
      await click("toggle");
      await shows(page, "ul", "7 event1 event8 event");
      await shows(page, "i", "ann blue");

      await publish(server.url, b, { n: 70 });
      await click("other room");
      await shows(page, "ul", "70 event");
      await shows(page, "i", "ann blue");
      await until("it has left", async () => (await namesIn(server.url, a)).length === 0);
      await click("publish");
      await shows(page, "ul", "70 event1 event");
      await click("toggle");
      await until("it has left", async () => (await namesIn(server.url, b)).length === 0);
      assert.deepEqual(errors, []);
    },
  );
}

Deno.test(
  "the client's first load through Vite is as small as docs/client.md says",
  options,
  async () => {
    await using project = await Project.make("vue");
    await project.write(
      "src/main.ts",
      `import { connect } from "weir-client";
     connect("/").listen("a", { onEvent: ({ id }) => document.title = id, onGap: "throw" });`,
    );
    await using _site = await project.build();
    const page = await project.read("dist/index.html");
    const [, script = ""] = /src="\/(assets\/[^"]+\.js)"/.exec(page) ?? [];
    const size = gzipSync(await project.read(`dist/${script}`), { level: 9 }).length;
    assert.ok(size <= MAX_VITE_GZIP_BYTES, `${size} bytes`);
  },
);

/** Returns the example in this language. */
async function exampleOf(language: string): Promise<string> {
  const docs = await Deno.readTextFile(DOCS);
  const start = "```" + language + "\n";
  const [, example] = docs.split(start);
  if (example === undefined) throw new Error(`docs/client.md has no ${language}`);
  return example.slice(0, example.indexOf("\n```"));
}

/** Returns a function for the channels of the messages that the page has sent, by their `op`. */
async function watchSockets(page: Page): Promise<(op: string) => readonly string[]> {
  const messages: { readonly op: string; readonly channel: string }[] = [];
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => {
      for (const line of String(payload).split("\n")) messages.push(JSON.parse(line));
    });
  });
  return await Promise.resolve((op) =>
    messages.filter((message) => message.op === op).map(({ channel }) => channel)
  );
}

async function shows(page: Page, selector: string, text: string): Promise<void> {
  const locator = page.locator(selector);
  await until(`${selector} has ${text}`, async () => {
    return (await locator.textContent() ?? "").replace(/\s+/g, " ").trim() === text;
  });
}

/** A copy of a template, with the packages of `tests/vite` and the client as packed. */
class Project implements AsyncDisposable {
  readonly #folder: URL;

  private constructor(folder: URL) {
    this.#folder = folder;
  }

  static async make(template: string): Promise<Project> {
    const folder = await Deno.makeTempDir({ prefix: "weir_vite_" });
    const project = new Project(new URL(`file://${folder}/`));
    try {
      await copy(new URL(`${template}/`, VITE), project.#folder);
      const modules = new URL("node_modules/", project.#folder);
      await Deno.mkdir(new URL("weir-client/", modules), { recursive: true });
      for await (const { name } of Deno.readDir(new URL("node_modules/", VITE))) {
        if (name.startsWith(".")) continue;
        await Deno.symlink(new URL(`node_modules/${name}`, VITE).pathname, new URL(name, modules));
      }
      const tarball = (await packedClient()).pathname;
      await project.#run("tar", ["xzf", tarball, "-C", "node_modules/weir-client", "--strip=1"]);
      await project.write("package.json", `{ "type": "module", "private": true }`);
      await project.write("public/favicon.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`);
      // Style sheets of the templates.
      for (const name of ["index", "style", "app"]) await project.write(`src/${name}.css`, "");
      return project;
    } catch (cause) {
      await project[Symbol.asyncDispose]();
      throw cause;
    }
  }

  async read(path: string): Promise<string> {
    return await Deno.readTextFile(new URL(path, this.#folder));
  }

  async write(path: string, text: string): Promise<void> {
    const file = new URL(path, this.#folder);
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }

  /** Runs a program of a package in Node. @throws {Error} with its output if it fails. */
  async run([program = "", ...args]: readonly string[]): Promise<void> {
    await this.#run("node", [`node_modules/${program}`, ...args]);
  }

  /** Builds the app and serves it. */
  async build(): Promise<Site> {
    await this.run(["vite/bin/vite.js", "build"]);
    const dist = new URL("dist/", this.#folder);
    return serveSite(async ({ url }) => {
      const { pathname } = new URL(url);
      const path = pathname === "/" ? "index.html" : pathname.slice(1);
      const [type] = Object.entries({
        "text/html": ".html",
        "text/javascript": ".js",
        "text/css": ".css",
        "image/svg+xml": ".svg",
      }).find(([, ending]) => path.endsWith(ending)) ?? ["text/plain"];
      const body = await Deno.readFile(new URL(path, dist));
      return new Response(body, { headers: { "Content-Type": type } });
    });
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd: this.#folder,
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    if (code !== 0) throw new Error(`${args[0]}: ${text.decode(stdout)}${text.decode(stderr)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function copy(from: URL, to: URL): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(new URL(`${name}/`, from), new URL(`${name}/`, to));
    else await Deno.copyFile(new URL(name, from), new URL(name, to));
  }
}
