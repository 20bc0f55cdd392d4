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
import { sseEvent, sseId, sseNotice } from "../../shared/sse.ts";

const utf8 = new TextEncoder();

/** Encodes a run whose cursors are offsets. `data:` is the data as published. */
export const ssePlain: Encoder<Uint8Array> = (run) => encodeRun(run, dataOf, offsetCursor(run));

/** Encodes a run whose cursors are offsets. `data:` is the event in JSON. */
export const sseEnvelope: Encoder<Uint8Array> = (run) =>
  encodeRun(run, envelopeOf(run), offsetCursor(run));

/**
 * Bytes from which an event is written as a part of its own, which streams share. Smaller ones are
 * copied together, since the runtime takes some time for each part.
 */
export const MIN_SHARED_BYTES = 8 * 1_024;

/** What follows an event's `id:`. Bytes for a large event, so that streams share them. */
type EventFields = string | Uint8Array;

const plainFields: Encoder<readonly EventFields[]> = (run) => fieldsOf(run, dataOf);
const envelopeFields: Encoder<readonly EventFields[]> = (run) => fieldsOf(run, envelopeOf(run));

/**
 * Encodes a run of one of several channels, in consecutive parts. Streams whose cursors differ share
 * the parts with the fields of large events.
 *
 * @param cursorAt returns the cursor over all channels for a sequence. Called in their order.
 */
export function encodeSseRun(
  run: Run,
  isEnveloped: boolean,
  cursorAt: (sequence: number) => string,
): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let text = run.gap === undefined ? "" : gapEvent(run, run.gap, cursorAt(run.after));
  let sequence = run.after;
  for (const fields of run.encode(isEnveloped ? envelopeFields : plainFields)) {
    text += sseId(cursorAt(++sequence));
    if (typeof fields === "string") {
      text += fields;
    } else {
      parts.push(utf8.encode(text), fields);
      text = "";
    }
  }
  if (text !== "") parts.push(utf8.encode(text));
  return parts;
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

function fieldsOf(run: Run, data: (event: LogEvent) => string): readonly EventFields[] {
  return run.events.map((event) => {
    const fields = sseNotice(shownType(event.type), data(event));
    return fields.length < MIN_SHARED_BYTES ? fields : utf8.encode(fields);
  });
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
