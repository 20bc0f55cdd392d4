const ROOT = new URL("../../", import.meta.url);

export interface Import {
  /** The importing file, relative to the repository. */
  readonly from: string;
  /** A path relative to the repository, or `npm:<package>`. */
  readonly to: string;
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

/** Reads the imports of `files` and of everything that they import, imports of types included. */
export async function readImports(files: readonly string[]): Promise<readonly Import[]> {
  // One module that imports them all takes a single run of the program.
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const urls = files.map((file) => new URL(file, ROOT).href);
    await Deno.writeTextFile(entry, urls.map((url) => `import "${url}";\n`).join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", "deno.json", entry],
      cwd: ROOT,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return importsOf(JSON.parse(new TextDecoder().decode(stdout)));
  } finally {
    await Deno.remove(entry);
  }
}

function importsOf({ modules }: Graph): readonly Import[] {
  const own = modules.filter(({ specifier }) => specifier.startsWith(ROOT.href));
  return own.flatMap(({ specifier, dependencies = [] }) =>
    dependencies.flatMap(({ code, type }) => code?.specifier ?? type?.specifier ?? [])
      .flatMap((target) => nameOf(target))
      .map((to) => ({ from: specifier.slice(ROOT.href.length), to }))
  );
}

function nameOf(specifier: string): string | readonly [] {
  if (specifier.startsWith(ROOT.href)) return specifier.slice(ROOT.href.length);
  if (specifier.startsWith("node:")) return [];
  return specifier.replace(/^npm:\/?(@[^/]+\/[^@/]+|[^@/]+).*$/, "npm:$1");
}

/**
 * Returns one shortest cycle for each group of files that import each other, as the paths along it;
 * an empty list where the imports have no cycle.
 */
export function importCycles(imports: readonly Import[]): readonly (readonly string[])[] {
  const targets = Map.groupBy(imports, ({ from }) => from);
  const inCycle = new Set<string>();
  const cycles: (readonly string[])[] = [];
  for (const file of [...targets.keys()].sort()) {
    if (inCycle.has(file)) continue;
    const cycle = shortestCycle(file, targets);
    if (cycle === undefined) continue;
    for (const path of cycle) inCycle.add(path);
    cycles.push(cycle);
  }
  return cycles;
}

/** Searches breadth first for the shortest way from `start` back to it. */
function shortestCycle(
  start: string,
  targets: ReadonlyMap<string, readonly Import[]>,
): readonly string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const file of queue) {
    for (const { to } of targets.get(file) ?? []) {
      if (to === start) return pathTo(file, start, cameFrom);
      if (cameFrom.has(to)) continue;
      cameFrom.set(to, file);
      queue.push(to);
    }
  }
  return undefined;
}

function pathTo(
  end: string,
  start: string,
  cameFrom: ReadonlyMap<string, string>,
): readonly string[] {
  const path = [end];
  for (let file = end; file !== start;) {
    file = cameFrom.get(file) ?? start;
    path.push(file);
  }
  return path.reverse();
}
