import type { EphemeralEncoder } from "../../hub/ephemeral_batch.ts";
import type { Encoder, Run } from "../../log/run.ts";
import { channelOf } from "../../shared/channel.ts";
import { ephemeralMembers } from "../../shared/ephemeral.ts";
import {
  dataText,
  DEFAULT_TYPE,
  eventMembers,
  type Gap,
  gapMembers,
  type LogEvent,
} from "../../shared/event.ts";
import { formatOffset } from "../../shared/offset.ts";
import { sseEvent, sseNotice } from "../../shared/sse.ts";

const utf8 = new TextEncoder();

/** Encodes a run whose cursors are offsets. `data:` is the data as published. */
export const ssePlain: Encoder<Uint8Array> = (run) => encodeRun(run, dataOf, offsetCursor(run));

/** Encodes a run whose cursors are offsets. `data:` is the event in JSON. */
export const sseEnvelope: Encoder<Uint8Array> = (run) =>
  encodeRun(run, envelopeOf(run), offsetCursor(run));

/** Encodes a run of one of several channels. `cursorAt` returns their cursor for a sequence. */
export function encodeSseRun(
  run: Run,
  isEnveloped: boolean,
  cursorAt: (sequence: number) => string,
): Uint8Array {
  return encodeRun(run, isEnveloped ? envelopeOf(run) : dataOf, cursorAt);
}

/** Encodes ephemeral events without an `id:`, so that they don't move the cursor. */
export const ssePlainEphemeral: EphemeralEncoder<Uint8Array> = ({ events }) => {
  return utf8.encode(events.map(({ type, data }) => sseNotice(shownType(type), data)).join(""));
};

/** Encodes ephemeral events with `data:` as JSON. */
export const sseEnvelopeEphemeral: EphemeralEncoder<Uint8Array> = (
  { channelKey, events },
) => {
  const channel = JSON.stringify(channelOf(channelKey));
  const frames = events.map((event) => {
    const envelope = `{${ephemeralMembers(channel, event)},"ephemeral":true}`;
    return sseNotice(shownType(event.type), envelope);
  });
  return utf8.encode(frames.join(""));
};

function encodeRun(
  run: Run,
  data: (event: LogEvent) => string,
  cursorAt: (sequence: number) => string,
): Uint8Array {
  let text = run.gap === undefined ? "" : gapEvent(run, run.gap, cursorAt(run.after));
  for (const event of run.events) {
    text += sseEvent(cursorAt(event.sequence), shownType(event.type), data(event));
  }
  return utf8.encode(text);
}

/** Returns undefined for the default type, which readers assume. */
function shownType(type: string): string | undefined {
  return type === DEFAULT_TYPE ? undefined : type;
}

function gapEvent(run: Run, gap: Gap, cursor: string): string {
  const channel = JSON.stringify(channelOf(run.channelKey));
  return sseEvent(cursor, "weir.gap", `{${gapMembers(channel, gap)}}`);
}

function offsetCursor(run: Run): (sequence: number) => string {
  return (sequence) => formatOffset(run.epoch, sequence);
}

function dataOf(event: LogEvent): string {
  return dataText(event.data);
}

function envelopeOf(run: Run): (event: LogEvent) => string {
  const channel = JSON.stringify(channelOf(run.channelKey));
  return (event) => `{${eventMembers(channel, run.epoch, event)}}`;
}
