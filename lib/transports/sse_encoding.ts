import type { Encoder, Run } from "../log/run.ts";
import { channelOf } from "../shared/channel.ts";
import {
  dataText,
  DEFAULT_TYPE,
  eventMembers,
  type Gap,
  gapMembers,
  type LogEvent,
} from "../shared/event.ts";
import { formatOffset } from "../shared/offset.ts";
import { sseEvent } from "../shared/sse.ts";

const utf8 = new TextEncoder();

/** The frames of one run where the cursor is the offset: the same bytes for every subscriber. */
export const ssePlain: Encoder<Uint8Array> = (run) => encodeRun(run, dataOf, offsetCursor(run));

/** The same with a JSON envelope as data. */
export const sseEnvelope: Encoder<Uint8Array> = (run) =>
  encodeRun(run, envelopeOf(run), offsetCursor(run));

/** The frames of one run of one of several channels. `cursorAt` gives the vector for a sequence. */
export function encodeSseVector(
  run: Run,
  isEnveloped: boolean,
  cursorAt: (sequence: number) => string,
): Uint8Array {
  return encodeRun(run, isEnveloped ? envelopeOf(run) : dataOf, cursorAt);
}

function encodeRun(
  run: Run,
  data: (event: LogEvent) => string,
  cursorAt: (sequence: number) => string,
): Uint8Array {
  let text = run.gap === undefined ? "" : gapEvent(run, run.gap, cursorAt(run.after));
  for (const event of run.events) {
    const type = event.type === DEFAULT_TYPE ? undefined : event.type;
    text += sseEvent(cursorAt(event.sequence), type, data(event));
  }
  return utf8.encode(text);
}

function gapEvent(run: Run, gap: Gap, cursor: string): string {
  const channel = JSON.stringify(channelOf(run.address));
  return sseEvent(cursor, "weir.gap", `{${gapMembers(channel, gap)}}`);
}

function offsetCursor(run: Run): (sequence: number) => string {
  return (sequence) => formatOffset(run.epoch, sequence);
}

function dataOf(event: LogEvent): string {
  return dataText(event.data);
}

function envelopeOf(run: Run): (event: LogEvent) => string {
  const channel = JSON.stringify(channelOf(run.address));
  return (event) => `{${eventMembers(channel, run.epoch, event)}}`;
}
