/** The input and the output of `load.ts`. */

/** How subscribers read. */
export type Transport = "sse" | "websocket" | "webtransport";

/** Whose protocol: Weir's, or that of one of the rivals in `rivals.ts`. */
export type Wire = "weir" | "bare" | "bare-kv" | "durable-streams" | "centrifugo";

/** One load run. Servers are given as `127.0.0.1:PORT`. */
export interface LoadOptions {
  readonly wire: Wire;
  /** The server to publish to. */
  readonly publishAt: string;
  /** The server to subscribe to; differs from `publishAt` for a run across servers. */
  readonly subscribeAt: string;
  /**
   * A second server to which half of the publishers publish, or "". Equal to `publishAt`, it stands
   * for the other isolate of that process. Refusals with 503 are then counted and are no problem.
   */
  readonly secondWriterAt: string;
  readonly transport: Transport;
  /** The processes whose CPU and memory count as the server's. */
  readonly pids: readonly number[];
  /** Connections, all on the first channel unless `ownChannels`. 0: publish only. */
  readonly subscribers: number;
  /** Whether each subscriber has a channel of its own. Each publish goes to one of them, in turn. */
  readonly ownChannels: boolean;
  /** How many of the subscribers stop reading once they are live. */
  readonly stalled: number;
  /** Members that join the first channel at the same time, and nothing else. 0: no burst of joins. */
  readonly members: number;
  /** Events published in the timed part. 0: hold or replay only. */
  readonly messages: number;
  /** Events of one publish. More than one need the first channel only. */
  readonly batch: number;
  /** Whether each publisher sends its events as one NDJSON request, to the first channel. */
  readonly ndjson: boolean;
  /** Concurrent publishes, each on its own keep-alive connection. */
  readonly inFlight: number;
  /** Events before the timed part, for the compiler to warm up. */
  readonly warmUp: number;
  /** Channels published to in turn. */
  readonly channels: number;
  /** Pause between publishes of one publisher; 0: the next follows each answer. */
  readonly everyMs: number;
  /** The size of the published JSON value, in bytes. */
  readonly size: number;
  /** Replay: events already in the log, which each subscriber reads with `after=earliest`. */
  readonly held: number;
  /** Sent as `Authorization: Bearer` with each request; "": no header. */
  readonly token: string;
  /** Whether each subscriber turns the token into a ticket first and connects with that. */
  readonly tickets: boolean;
  /** Token of another tenant, which floods during the timed part; "": no flood. */
  readonly floodToken: string;
  /** Concurrent requests of the flood. */
  readonly floodInFlight: number;
  /** The file of the store, whose size is watched along with what the channel keeps; "": neither. */
  readonly storePath: string;
  /** Pause after connecting, before memory is read. */
  readonly settleMs: number;
  /** The longest any one phase (connect, publish, drain) may take. */
  readonly phaseMs: number;
}

/** The defaults, for everything except the servers. */
export const LOAD_DEFAULTS = {
  wire: "weir",
  transport: "sse",
  pids: [],
  subscribers: 0,
  ownChannels: false,
  stalled: 0,
  secondWriterAt: "",
  members: 0,
  messages: 0,
  batch: 1,
  ndjson: false,
  inFlight: 1,
  warmUp: 0,
  channels: 1,
  everyMs: 0,
  size: 100,
  held: 0,
  token: "",
  tickets: false,
  floodToken: "",
  floodInFlight: 0,
  storePath: "",
  settleMs: 500,
  phaseMs: 30_000,
} as const satisfies Partial<LoadOptions>;

/** The result of one load run. `null`: not measured in this run. */
export interface LoadResult {
  /** Why the figures cannot be trusted (an unfinished phase, a refusal), or `""`. */
  readonly problem: string;
  readonly delivered: number;
  readonly expected: number;
  /** Timed from the first publish (replay: from the first connect) to the last delivery. */
  readonly seconds: number;
  readonly deliveriesPerSecond: number;
  readonly publishesPerSecond: number;
  readonly failedPublishes: number;
  /** Publishes that one of two writers refused with 503. */
  readonly refusedPublishes: number;
  /** The publish p99 of the slower of two writers, as a multiple of that of the faster one. */
  readonly writersP99Ratio: number | null;
  readonly failedConnects: number;
  /** How fast the subscribers connected. */
  readonly connectsPerMinute: number;
  /** From the first byte of the request to the last of the answer, ms. */
  readonly publishP50: number | null;
  readonly publishP99: number | null;
  /** From just before the publish to the arrival at a subscriber, ms. */
  readonly endToEndP50: number | null;
  readonly endToEndP99: number | null;
  /** CPU seconds of the server per million deliveries (publish only: per million publishes). */
  readonly cpuPerMillion: number | null;
  /** Growth of the server's resident memory per idle subscriber, KB of 1,024 bytes. */
  readonly kbPerSubscriber: number | null;
  /**
   * The server's resident memory over the last third of the publishing, as a multiple of that over
   * the second third.
   */
  readonly memoryGrowth: number | null;
  /** The most events that the first channel kept at any time. */
  readonly keptEvents: number | null;
  /** The size of the store at the end, as a multiple of that after two thirds of the time. */
  readonly storeGrowth: number | null;
  /** The server's resident memory at the end, MB. */
  readonly serverMb: number;
  /**
   * The server's resident memory at its peak since the warm-up, MB: the sum of the peaks of its
   * processes.
   */
  readonly peakMb: number;
  /** Share of a core that the generator used; near 1, the generator is the bottleneck. */
  readonly generatorCore: number;
  /**
   * Cores that other programs used in the meantime. Well above 0, times (less so CPU) are those of a
   * busy machine.
   */
  readonly othersCore: number;
}
