// `deno task dev`: runs `deno task start`, and restarts it when a source changes. The start task
// builds the islands first if one of them changed. Each start is a new process, because a store
// belongs to the process that opened it.
// deno-lint-ignore-file no-console

const FOLDERS = ["lib", "routes", "islands", "package"];
const SOURCE = /\.(?:tsx?|css|svg|json|lock)$/;

/** Waits for further changes: editors save in several steps, and tools change many files. */
const SETTLE_MS = 100;

let server = start();
let isStopping = false;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    isStopping = true;
    await stop(server);
    Deno.exit(0);
  });
}

let settled: ReturnType<typeof setTimeout> | undefined;
await Promise.all([watch(Deno.watchFs(FOLDERS)), watch(Deno.watchFs(".", { recursive: false }))]);

async function watch(changes: Deno.FsWatcher): Promise<void> {
  for await (const { kind, paths } of changes) {
    if (kind === "access" || !paths.some((path) => SOURCE.test(path))) continue;
    clearTimeout(settled);
    settled = setTimeout(restart, SETTLE_MS);
  }
}

function start(): Deno.ChildProcess {
  const env = { WEIR_DRAIN: "0s", ...Deno.env.toObject() };
  return new Deno.Command(Deno.execPath(), { args: ["task", "start"], env, stdin: "null" }).spawn();
}

async function restart(): Promise<void> {
  const previous = server;
  await stop(previous);
  // A change during the stop has already started the next one.
  if (isStopping || server !== previous) return;
  console.error("A source changed: restarting");
  server = start();
}

async function stop(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGTERM");
  } catch {
    // It has exited by itself, for example after a syntax error.
  }
  await process.status;
}
