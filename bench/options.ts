/** What one load run is asked to do, and what it answers: the contract of `load.ts`. */

/** How subscribers read. */
export type Transport = "sse" | "websocket";

/** Whose wire is spoken: Weir's, or that of the bare server in `bare.ts`. */
export type Wire = "weir" | "bare";

/** One load run. Addresses are `127.0.0.1:PORT`. */
export interface LoadOptions {
  readonly wire: Wire;
  /** Where events are published. */
  readonly publishAt: string;
  /** Where they are subscribed to; another process than `publishAt` for a run across servers. */
  readonly subscribeAt: string;
  readonly transport: Transport;
  /** The processes whose CPU and memory are counted as the server's. */
  readonly pids: readonly number[];
  /** Connections, all on the first channel. 0: publish only. */
  readonly subscribers: number;
  /** Members that enter the first channel at once, and nothing else. 0: no storm of joins. */
  readonly members: number;
  /** Events published in the timed part. 0: hold or replay only. */
  readonly messages: number;
  /** Publishes under way at once, each on a keep-alive connection of its own. */
  readonly inFlight: number;
  /** Events published and delivered before the timed part, so that compilers have warmed up. */
  readonly warmUp: number;
  /** Channels published to in turn. */
  readonly channels: number;
  /** Milliseconds between the publishes of one publisher; 0: the next as soon as one is answered. */
  readonly everyMs: number;
  /** Bytes of the JSON value published. */
  readonly size: number;
  /** Replay: events already in the log, which each subscriber reads with `after=earliest`. */
  readonly held: number;
  /** Sent as `Authorization: Bearer` with each request; "": nothing is. */
  readonly token: string;
  /** Whether each subscriber turns the token into a ticket first and connects with that. */
  readonly tickets: boolean;
  /** Another tenant, which publishes as fast as it can while the timed part runs; "": nobody. */
  readonly floodToken: string;
  /** Requests that the flood has under way. */
  readonly floodInFlight: number;
  /** Pause after connecting, before memory is read. */
  readonly settleMs: number;
  /** The longest any one phase (connect, publish, drain) may take. */
  readonly phaseMs: number;
}

/** The defaults of everything but where the server is. */
export const LOAD_DEFAULTS = {
  wire: "weir",
  transport: "sse",
  pids: [],
  subscribers: 0,
  members: 0,
  messages: 0,
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
  settleMs: 500,
  phaseMs: 30_000,
} as const satisfies Partial<LoadOptions>;

/** What one load run measured. `null`: not measured by this run. */
export interface LoadResult {
  /** `""`, or why the figures are not to be trusted (a phase that did not finish, a refusal). */
  readonly problem: string;
  readonly delivered: number;
  readonly expected: number;
  /** Timed from the first publish (replay: from the first connect) to the last delivery. */
  readonly seconds: number;
  readonly deliveriesPerSecond: number;
  readonly publishesPerSecond: number;
  readonly failedPublishes: number;
  readonly failedConnects: number;
  /** How fast the subscribers came. */
  readonly connectsPerMinute: number;
  /** From the first byte of the request written to the whole answer read, ms. */
  readonly publishP50: number | null;
  readonly publishP99: number | null;
  /** From just before the publish is written to the event read by a subscriber, ms. */
  readonly endToEndP50: number | null;
  readonly endToEndP99: number | null;
  /** CPU seconds of the server a million deliveries (publish only: a million publishes). */
  readonly cpuPerMillion: number | null;
  /** Growth of the server's resident memory a held subscriber, KB of 1,024 bytes. */
  readonly kbPerSubscriber: number | null;
  /** The server's resident memory at the end, MB. */
  readonly serverMb: number;
  /** Share of one core that the generator itself used in the timed part: near 1, it is the limit. */
  readonly generatorCore: number;
  /**
   * Cores that everything else on the machine used meanwhile: well above 0, the figures of time
   * (not so much those of CPU) are those of a busy machine.
   */
  readonly othersCore: number;
}
