// A program with many clients of the client library. `rolling.ts` starts it, writes commands to its
// standard input, and reads its reports.
import type { TransportName } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { parseOffset } from "../../lib/shared/offset.ts";
import { trustingPlatform } from "../support/trusting_platform.ts";
import { type ClientsReport, type ClientsStart, readCommands, report } from "./rolling_messages.ts";

const [start = "{}"] = Deno.args;
const { url, cert, channels, transports } = JSON.parse(start) as ClientsStart;
/** HTTP/1.1: over HTTP/2 all streams of this process would share one connection. */
const platform = trustingPlatform(await Deno.readTextFile(cert), { http2: false });

interface Reader {
  readonly transport: TransportName;
  readonly channel: string;
  /** The sequence of the last event. */
  last: number;
  isOpen: boolean;
}

const readers: Reader[] = [];
const faults: string[] = [];
const errors: string[] = [];
let opened = 0;
/** Milliseconds from publish to delivery, by phase and transport. */
let latencies: Record<string, number[]> = {};
let phase = "start";

function open(transport: TransportName): void {
  const channel = channels[readers.length % channels.length] ?? "";
  const reader: Reader = { transport, channel, last: 0, isOpen: false };
  const name = `${transport} ${readers.length}`;
  readers.push(reader);
  const onError = (error: Error) => void errors.push(`${name}: ${error}`);
  const weir = makeClient(url, { transports: [transport], onError }, platform);
  weir.state.subscribe(({ status }) => {
    if (status === "open" && !reader.isOpen) opened++;
    reader.isOpen = status === "open";
  });
  weir.listen<{ readonly n: number; readonly at: number }>(channel, {
    after: "earliest",
    onEvent: ({ offset, data: { n, at } }) => {
      const { sequence } = parseOffset(offset);
      if (sequence !== reader.last + 1 || n !== sequence) {
        faults.push(`${name} got ${offset} (${n}) after ${reader.last}`);
      }
      reader.last = sequence;
      const latencyMs = performance.timeOrigin + performance.now() - at;
      (latencies[`${phase} ${transport}`] ??= []).push(latencyMs);
    },
    onGap: (gap) => void faults.push(`${name} has a gap: ${JSON.stringify(gap)}`),
    onError: (error) => void faults.push(`${name} ended: ${error}`),
  });
}

for (const [transport, count] of Object.entries(transports)) {
  for (let i = 0; i < count; i++) open(transport as TransportName);
}

for await (const command of readCommands()) {
  if (command.phase !== undefined) {
    phase = command.phase;
    latencies = {};
  }
  const targets = command.targets ?? {};
  report<ClientsReport>({
    clients: readers.length,
    open: readers.filter(({ isOpen }) => isOpen).length,
    opened,
    behind: readers.filter(({ channel, last }) => last < (targets[channel] ?? 1)).length,
    ahead: readers.filter(({ channel, last }) => last > (targets[channel] ?? Infinity)).length,
    faults: faults.slice(0, 20),
    errors: errors.slice(-20),
    latencies: command.latencies === true ? latencies : {},
  });
}
Deno.exit(0);
