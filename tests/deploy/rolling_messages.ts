import type { TransportName } from "../../lib/client/api.ts";

/** How `rolling_clients.ts` starts. */
export interface ClientsStart {
  readonly url: string;
  /** The path of the certificate to trust. */
  readonly cert: string;
  readonly channels: readonly string[];
  /** How many clients use each transport. */
  readonly transports: Readonly<Partial<Record<TransportName, number>>>;
}

/** How `rolling_publisher.ts` starts. */
export interface PublisherStart {
  readonly url: string;
  readonly channels: readonly string[];
  /** Milliseconds between two events of a channel. */
  readonly intervalMs: number;
}

/** A command to one of these programs. Each is answered by a report. */
export interface Command {
  /** Names the phase for the latencies that follow, and forgets those before. */
  readonly phase?: string;
  /** The sequence of the last event of each channel. */
  readonly targets?: Readonly<Record<string, number>>;
  /** Whether the report has latencies. */
  readonly latencies?: boolean;
  /** Whether the publisher stops. */
  readonly stop?: boolean;
}

export interface ClientsReport {
  readonly clients: number;
  /** Clients whose state is `open`. */
  readonly open: number;
  /** How often a client has become open. */
  readonly opened: number;
  /** Clients that lack events before the targets; without targets, any event. */
  readonly behind: number;
  /** Clients that have more events than the targets. */
  readonly ahead: number;
  /** Events that are missing, repeated or out of order. */
  readonly faults: readonly string[];
  readonly errors: readonly string[];
  /** Milliseconds from publish to delivery, by phase and transport. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
}

export interface PublisherReport {
  /** Events that were published in each channel, also if they failed. */
  readonly published: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  /** Milliseconds of each publish, with all its tries. */
  readonly durations: readonly number[];
}

/** Reads commands from the standard input, one per line. */
export async function* readCommands(): AsyncIterableIterator<Command> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

export function report<Report>(value: Report): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}
