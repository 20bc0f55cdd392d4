import type { EphemeralEncoder } from "../../hub/ephemeral_batch.ts";
import type { Encoder, Run } from "../../log/run.ts";
import { concat } from "../../shared/bytes.ts";
import { type ChannelKey, channelOf } from "../../shared/channel.ts";
import { formatOffset, type Position } from "../../shared/offset.ts";
import { MAX_DATAGRAM_BYTES } from "../../shared/webtransport.ts";
import { jsonEphemeralMembers, jsonGap, jsonMembers } from "../json_encoding.ts";
import { ReadPositions } from "../read_positions.ts";
import { eventBytesWith } from "../room.ts";

const utf8 = new TextEncoder();

/** Encodes a run of one channel as messages, one per line: the same text for every subscriber. */
const runText: Encoder<string> = (run) => {
  const lines = run.encode(jsonMembers).map((members) => `{"op":"event",${members}}`);
  if (run.gap === undefined) return lines.join("\n");
  const cursor = formatOffset(run.epoch, run.after);
  return [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursor}"}`, ...lines].join("\n");
};

const runLines: Encoder<Uint8Array> = (run) => toLines(runText(run));

/** Encodes a run for a subscription as messages, one per line. */
export interface MessageEncoding {
  readonly encode: Encoder<string>;
  /** Encodes the same as {@link toLines} does, if subscribers can share that. */
  readonly encodeLines?: Encoder<Uint8Array>;
  /** @see {@link import("../../hub/sink.ts").Sink.eventBytes} */
  readonly eventBytes: number;
}

/** Encodes text in UTF-8, with the end of its last line. */
export function toLines(text: string): Uint8Array {
  return utf8.encode(`${text}\n`);
}

/** For a subscription to one channel. The run keeps the text. */
export const SHARED_ENCODING: MessageEncoding = {
  encode: (run) => run.encode(runText),
  encodeLines: (run) => run.encode(runLines),
  eventBytes: eventBytesWith(""),
};

/**
 * Bytes of several ephemeral events that share a datagram. Less than one may have, so that even the
 * first datagrams of a connection have room for them, before QUIC knows the path.
 */
const MAX_JOINED_BYTES = 1_000;

/** Ephemeral events for a connection with datagrams. */
interface EphemeralPayloads {
  readonly datagrams: readonly Uint8Array[];
  readonly lines: Uint8Array;
}

/** Encodes each ephemeral event as a message: the same texts for every subscriber. */
export const ephemeralMessages: EphemeralEncoder<readonly string[]> = (batch) =>
  batch.encode(jsonEphemeralMembers).map((members) => `{"op":"ephemeral",${members}}`);

/** Encodes ephemeral events as messages, one per line. */
export const ephemeralText: EphemeralEncoder<string> = (batch) =>
  batch.encode(ephemeralMessages).join("\n");

/**
 * Encodes ephemeral events as payloads of datagrams, each with one or several messages, one per line.
 * Those that are too large for a datagram are in `lines`, each with its end.
 */
export const ephemeralPayloads: EphemeralEncoder<EphemeralPayloads> = (batch) => {
  const datagrams: Uint8Array[] = [];
  const large: Uint8Array[] = [];
  let joined: Uint8Array[] = [];
  let joinedBytes = 0;
  const flush = () => {
    if (joined.length > 0) datagrams.push(concat(joined).subarray(0, joinedBytes - 1));
    joined = [];
    joinedBytes = 0;
  };
  for (const message of batch.encode(ephemeralMessages)) {
    const line = toLines(message);
    const bytes = line.length - 1;
    if (bytes > MAX_DATAGRAM_BYTES) {
      large.push(line);
      continue;
    }
    if (joinedBytes + bytes > MAX_JOINED_BYTES) flush();
    joined.push(line);
    joinedBytes += line.length;
  }
  flush();
  return { datagrams, lines: concat(large) };
};

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
