import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);

/** Routes that others may import: how requests are read and refused, not resources. */
const PLUMBING = [
  "routes/access.ts",
  "routes/admin.ts",
  "routes/body.ts",
  "routes/channel_list.ts",
  "routes/credentials.ts",
  "routes/problem.ts",
  "routes/query.ts",
];

/** What a page's definition may import beside its island. */
const PAGE = [
  "islands",
  "lib/auth",
  "lib/transports",
  "lib/shared",
  "lib/weir.ts",
  "routes/page.tsx",
];

/**
 * What may import what: `routes → transports → hub → log → kv`, shared at the bottom, never upward.
 * A part is a folder or one file; the longest name that fits a file is its part. Files of one part
 * import each other freely, but for routes, of which each is a part of its own.
 */
const RULE: Readonly<Record<string, readonly string[]>> = {
  "main.ts": [
    "lib/auth/access.ts",
    "lib/config.ts",
    "lib/listener.ts",
    "lib/logger.ts",
    "lib/siblings.ts",
    "lib/kv/store.ts",
    "lib/weir.ts",
    "routes/app.ts",
  ],

  "keys.ts": ["lib/auth", "lib/config.ts", "lib/keys_cli", "lib/shared", "routes/app.ts"],

  "routes/app.ts": ["routes", "lib/auth", "lib/logger.ts", "lib/shared", "lib/weir.ts"],
  "routes/access.ts": [
    "lib/auth",
    "lib/config.ts",
    "lib/shared",
    "lib/weir.ts",
    "routes/credentials.ts",
    "routes/request_size.ts",
  ],
  "routes/credentials.ts": ["lib/config.ts", "lib/shared"],
  "routes/members.ts": ["lib/auth", "lib/presence", "lib/shared", "lib/weir.ts", ...PLUMBING],
  "routes/page.tsx": [
    "lib/assets.ts",
    "lib/auth",
    "lib/shared",
    "lib/weir.ts",
    "routes/page_markup.tsx",
    ...PLUMBING,
  ],
  "routes/console_page.ts": [...PAGE, "routes/channel_list.ts"],
  "routes/chat_page.ts": [...PAGE],
  "routes/dashboard_page.ts": [...PAGE],
  "routes/lab_page.ts": [...PAGE],
  "routes/page_markup.tsx": ["islands"],
  "routes/assets.ts": ["lib/assets.ts", "lib/shared"],
  "routes/socket.ts": [
    "lib/auth",
    "lib/logger.ts",
    "lib/transports",
    "lib/shared",
    "lib/weir.ts",
    ...PLUMBING,
  ],
  "routes": ["lib/auth", "lib/transports", "lib/log", "lib/shared", "lib/weir.ts", ...PLUMBING],

  "lib/keys_cli": [
    "lib/auth",
    "lib/config.ts",
    "lib/kv/store.ts",
    "lib/logger.ts",
    "lib/shared",
    "lib/weir.ts",
  ],
  "lib/weir.ts": ["lib"],
  "lib/config.ts": ["lib/auth", "lib/log/log.ts", "lib/shared"],
  "lib/logger.ts": [],
  "lib/siblings.ts": [],
  "lib/listener.ts": ["lib/shared"],
  "lib/assets.ts": [],

  "lib/transports": ["lib/auth", "lib/hub", "lib/log", "lib/presence", "lib/shared"],
  "lib/presence": ["lib/auth", "lib/kv", "lib/log", "lib/shared"],
  "lib/auth": ["lib/kv", "lib/log", "lib/shared"],
  "lib/figures": [
    "lib/hub/hub_observer.ts",
    "lib/kv",
    "lib/log/log.ts",
    "lib/log/log_observer.ts",
    "lib/shared",
  ],
  "lib/hub": ["lib/log", "lib/shared"],
  "lib/log": ["lib/kv", "lib/shared"],
  "lib/kv": ["lib/shared"],
  "lib/client": ["lib/shared"],
  "lib/shared": [],

  "islands": ["lib/client", "lib/shared"],
  "islands/build.ts": ["lib/assets.ts", "package/shrunk.ts"],

  "package": [],
};

/** Packages are for some parts only; the others have the platform and nothing else. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "routes": ["hono", "zod"],
  "routes/page.tsx": ["hono", "zod", "preact", "preact-render-to-string"],
  "routes/page_markup.tsx": ["preact"],
  "lib/config.ts": ["zod"],
  "lib/auth": ["jose", "zod"],
  "lib/keys_cli": ["jose", "zod"],
  "lib/log": ["zod"],
  "lib/transports": ["zod"],
  "islands": ["preact", "@preact/signals", "uplot"],
  "islands/build.ts": ["esbuild"],
  "package": ["esbuild", "terser", "typescript"],
};

interface Import {
  readonly from: string;
  /** A path within the project, or `npm:<package>`. */
  readonly to: string;
}

Deno.test("every file imports only what its place allows", async () => {
  const imports = await readImports();
  assert.ok(imports.length > 200, `only ${imports.length} imports were found`);
  assert.deepEqual(faults(imports), []);
});

Deno.test("the import rule refuses what it is there to refuse", () => {
  const wrong: readonly Import[] = [
    { from: "lib/shared/offset.ts", to: "lib/log/log.ts" },
    { from: "lib/shared/offset.ts", to: "npm:zod" },
    { from: "lib/kv/keys.ts", to: "lib/log/log.ts" },
    { from: "lib/log/kv_log.ts", to: "lib/hub/hub.ts" },
    { from: "lib/hub/tail.ts", to: "lib/transports/sse.ts" },
    { from: "lib/hub/tail.ts", to: "lib/kv/keys.ts" },
    { from: "lib/transports/sse.ts", to: "lib/kv/keys.ts" },
    { from: "lib/transports/sse.ts", to: "routes/query.ts" },
    { from: "routes/events.ts", to: "routes/publish.ts" },
    { from: "routes/events.ts", to: "lib/kv/keys.ts" },
    { from: "routes/events.ts", to: "routes/app.ts" },
    { from: "islands/console/live.tsx", to: "lib/hub/hub.ts" },
    { from: "lib/new_folder/file.ts", to: "lib/shared/offset.ts" },
  ];
  assert.equal(faults(wrong).length, wrong.length);
  const right: readonly Import[] = [
    { from: "routes/events.ts", to: "routes/query.ts" },
    { from: "lib/hub/hub.ts", to: "lib/hub/tail.ts" },
    { from: "islands/console/live.tsx", to: "npm:preact" },
  ];
  assert.deepEqual(faults(right), []);
});

function faults(imports: readonly Import[]): readonly string[] {
  return imports.flatMap(({ from, to }) => {
    const part = partOf(from, RULE);
    if (part === undefined) return [`${from} is in no part: add its folder to the rule`];
    const allowed = to.startsWith("npm:")
      ? (PACKAGES[partOf(from, PACKAGES) ?? ""] ?? []).map((name) => `npm:${name}`)
      : RULE[part] ?? [];
    const isOwn = part !== "routes" && isWithin(to, part) && partOf(to, RULE) === part;
    if (isOwn || allowed.some((name) => isWithin(to, name))) return [];
    return [`${from} imports ${to}: ${part} may import ${allowed.join(", ") || "nothing"}`];
  });
}

function partOf(path: string, parts: Readonly<Record<string, unknown>>): string | undefined {
  return Object.keys(parts).filter((name) => isWithin(path, name))
    .sort((a, b) => b.length - a.length)[0];
}

function isWithin(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}

/** Of every source file, also those that nothing imports yet. */
async function readImports(): Promise<readonly Import[]> {
  const found = new Map<string, readonly Import[]>();
  const files = ["main.ts", "keys.ts", ...await sourceFiles("routes"), ...await sourceFiles("lib")];
  files.push(...await sourceFiles("islands"), ...await sourceFiles("package"));
  for (const file of files) {
    if (found.has(file)) continue;
    for (const [path, imports] of await readGraph(file)) found.set(path, imports);
  }
  return [...found.values()].flat();
}

async function sourceFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await sourceFiles(path));
    else if (/\.tsx?$/.test(name)) files.push(path);
  }
  return files;
}

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** The imports of `file` and of all that it reaches, by the file that has them. */
async function readGraph(file: string): Promise<ReadonlyMap<string, readonly Import[]>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const { modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const own = modules.filter(({ specifier }) => specifier.startsWith(ROOT.href));
  return new Map(own.map(({ specifier, dependencies = [] }) => {
    const from = specifier.slice(ROOT.href.length);
    const targets = dependencies.flatMap(({ code, type }) =>
      code?.specifier ?? type?.specifier ?? []
    );
    return [from, targets.flatMap((target) => nameOf(target)).map((to) => ({ from, to }))];
  }));
}

function nameOf(specifier: string): string | readonly [] {
  if (specifier.startsWith(ROOT.href)) return specifier.slice(ROOT.href.length);
  if (specifier.startsWith("node:")) return [];
  return specifier.replace(/^npm:\/?(@[^/]+\/[^@/]+|[^@/]+).*$/, "npm:$1");
}
