import { Denokv, DENOKV_MISSING } from "./denokv.ts";
import { WeirServer } from "./server.ts";

/** One or several servers on the same channels. */
export interface Cluster extends AsyncDisposable {
  /** Where to publish and where to read, which may be another process. */
  readonly publishUrl: string;
  readonly readUrl: string;
}

/** One way to run Weir. */
export interface ClusterKind {
  readonly name: string;
  readonly ignore: boolean;
  /** Names of {@link import("./readers.ts").READERS}. @default all */
  readonly transports?: readonly string[];
  /** Whether connections outlive a test, so that its own leaks are not found. @default false */
  readonly keepsConnections?: boolean;
  start(): Promise<Cluster>;
}

export const ONE_ISOLATE: ClusterKind = {
  name: "one isolate",
  ignore: false,
  start: () => startOne("run"),
};

export const PARALLEL: ClusterKind = {
  name: "deno serve --parallel",
  ignore: false,
  start: () => startOne("serve"),
};

export const TWO_PROCESSES: ClusterKind = {
  name: "two processes on one denokv",
  ignore: DENOKV_MISSING,
  start: startTwo,
};

/** Returns a `Deno.test` for a file whose tests share one cluster of this kind. */
export function clusterTest(
  { name, ignore, keepsConnections = false, start }: ClusterKind,
): (behaviour: string, body: (cluster: Cluster) => Promise<void>) => void {
  let cluster: Cluster | undefined;
  if (!ignore) {
    Deno.test.beforeAll(async () => {
      cluster = await start();
    });
    // A failed start leaves no cluster; its own error is the one to report.
    Deno.test.afterAll(async () => await cluster?.[Symbol.asyncDispose]());
  }
  return (behaviour, body) => {
    Deno.test(`${behaviour} (${name})`, {
      ignore,
      sanitizeOps: !keepsConnections,
      sanitizeResources: !keepsConnections,
    }, async () => {
      if (cluster === undefined) throw new Error("no cluster was started");
      await body(cluster);
    });
  };
}

async function startOne(by: "run" | "serve"): Promise<Cluster> {
  const server = await WeirServer.start({ by });
  return {
    publishUrl: server.url,
    readUrl: server.url,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startTwo(): Promise<Cluster> {
  await using undo = new AsyncDisposableStack();
  const denokv = undo.use(await Denokv.start());
  const env = { WEIR_KV: denokv.url };
  const publisher = undo.use(await WeirServer.start({ env }));
  const reader = undo.use(await WeirServer.start({ env }));
  const resources = undo.move();
  return {
    publishUrl: publisher.url,
    readUrl: reader.url,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
