/** Connections between two peers. Guards against a peer that opens them without end. */
const MAX_CONNECTIONS = 16;
/** Characters of the name of an RTCPeerConnection. Guards the memory that keeps it. */
const MAX_ID_LENGTH = 64;
/** Candidates in one signal. Guards against a peer that keeps the browser busy with them. */
const MAX_CANDIDATES = 256;

/** What one end of a connection tells the other through the server: the data of a signal. */
export interface Signal {
  /** The number of the connection between the two peers: 0 is the main one. */
  readonly connection: number;
  /** Names the RTCPeerConnection that sends it. */
  readonly id: string;
  /** Names the RTCPeerConnection that it is for. Undefined while the sender knows none. */
  readonly for?: string | undefined;
  /** 1, 2, 3 … of each `id`, so that a signal which arrives twice is used once. */
  readonly n: number;
  readonly description?: RTCSessionDescriptionInit;
  readonly candidates?: readonly RTCIceCandidateInit[];
  /** No candidates follow. */
  readonly end?: true;
  /** Asks the impolite peer for an offer. */
  readonly begin?: true;
}

/** A signal that has no number yet. */
export type SignalBody = Pick<Signal, "description" | "candidates" | "end" | "begin">;

/** Parses what a peer sent. Undefined if it is not a signal. The browser checks the rest. */
export function parseSignal(data: unknown): Signal | undefined {
  const signal = Object(data);
  const { connection, id, for: to, n, description, candidates } = signal;
  const isSignal = Number.isInteger(connection) && connection >= 0 &&
    connection < MAX_CONNECTIONS && isId(id) && Number.isInteger(n) &&
    (to === undefined || isId(to)) &&
    (description === undefined || /^(offer|answer)$/.test(description?.type)) &&
    (candidates === undefined || Array.isArray(candidates) && candidates.length <= MAX_CANDIDATES);
  return isSignal ? signal : undefined;
}

function isId(value: unknown): boolean {
  return typeof value === "string" && value.length <= MAX_ID_LENGTH;
}
