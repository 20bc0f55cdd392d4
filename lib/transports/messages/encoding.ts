import type { EphemeralEncoder } from "../../hub/ephemeral_batch.ts";
import type { Encoder, Run } from "../../log/run.ts";
import { type ChannelKey, channelOf } from "../../shared/channel.ts";
import { formatOffset, type Position } from "../../shared/offset.ts";
import { jsonEphemeralMembers, jsonGap, jsonMembers } from "../json_encoding.ts";
import { ReadPositions } from "../read_positions.ts";
import { eventBytesWith } from "../room.ts";

/** Encodes a run of one channel as messages, one per line: the same text for every subscriber. */
const runText: Encoder<string> = (run) => {
  const lines = run.encode(jsonMembers).map((members) => `{"op":"event",${members}}`);
  if (run.gap === undefined) return lines.join("\n");
  const cursor = formatOffset(run.epoch, run.after);
  return [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursor}"}`, ...lines].join("\n");
};

/** Encodes a run for a subscription as messages, one per line. */
export interface MessageEncoding {
  readonly encode: Encoder<string>;
  /** @see {@link import("../../hub/sink.ts").Sink.eventBytes} */
  readonly eventBytes: number;
}

/** For a subscription to one channel. The run keeps the text. */
export const SHARED_ENCODING: MessageEncoding = {
  encode: (run) => run.encode(runText),
  eventBytes: eventBytesWith(""),
};

/** Encodes each ephemeral event as a message: the same texts for every subscriber. */
export const ephemeralMessages: EphemeralEncoder<readonly string[]> = (batch) =>
  batch.encode(jsonEphemeralMembers).map((members) => `{"op":"ephemeral",${members}}`);

/** Encodes ephemeral events as messages, one per line. */
export const ephemeralText: EphemeralEncoder<string> = (batch) =>
  batch.encode(ephemeralMessages).join("\n");

/** Returns an encoding for each channel of a subscription to several, which share one cursor. */
export function encodingsWithCursor(
  channelKeys: readonly ChannelKey[],
  starts: readonly Position[],
): readonly MessageEncoding[] {
  const positions = new ReadPositions(channelKeys.map(channelOf), starts);
  const eventBytes = eventBytesWith(positions.cursor);
  return channelKeys.map((_, index) => ({
    encode: (run) => runTextWithCursor(run, index, positions),
    eventBytes,
  }));
}

/** Encodes a run of the channel at `index`. Each message has the cursor over all channels. */
function runTextWithCursor(run: Run, index: number, positions: ReadPositions): string {
  const cursorAt = (sequence: number) => positions.advanceCursor(index, run.epoch, sequence);
  const lines = run.gap === undefined
    ? []
    : [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursorAt(run.after)}"}`];
  run.encode(jsonMembers).forEach((members, at) => {
    lines.push(`{"op":"event",${members},"cursor":"${cursorAt(run.after + at + 1)}"}`);
  });
  return lines.join("\n");
}
