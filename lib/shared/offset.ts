import { Problem, quote } from "./problem.ts";

/** Identifies one life of a channel's log: the milliseconds of its creation, in 9 digits of base 36. */
export type Epoch = string & { readonly __brand: "Epoch" };

/** `<epoch>_<sequence>` of fixed width: sorts as text in log order. The form is part of the protocol: clients may compare offsets. */
export type Offset = string & { readonly __brand: "Offset" };

/** A position in one channel's log: right after the event with this sequence, 0 before the first. */
export interface Position {
  readonly epoch: Epoch;
  readonly sequence: number;
}

const EPOCH_DIGITS = 9;
const SEQUENCE_DIGITS = 16;
const OFFSET = /^[0-9a-z]{9}_[0-9]{16}$/;

/** Precedes every epoch. In the cursor of a subscriber that came before the channel's first event. */
export const NO_EPOCH = "000000000" as Epoch;

/** The position before every event of every life of a channel. */
export const ORIGIN: Position = { epoch: NO_EPOCH, sequence: 0 };

/** Returns the epoch of a log created at `now`, which is always later than `previous`. */
export function epochAt(now: number, previous: Epoch = NO_EPOCH): Epoch {
  const time = Math.max(Math.floor(now), epochTime(previous) + 1);
  return time.toString(36).padStart(EPOCH_DIGITS, "0") as Epoch;
}

/** Returns when the epoch began, in milliseconds since 1970 by the clock of its creator. */
export function epochTime(epoch: Epoch): number {
  return parseInt(epoch, 36);
}

export function formatOffset(epoch: Epoch, sequence: number): Offset {
  return `${epoch}_${String(sequence).padStart(SEQUENCE_DIGITS, "0")}` as Offset;
}

export function offsetOf(position: Position): Offset {
  return formatOffset(position.epoch, position.sequence);
}

/** Returns whether `text` has the form of an offset. */
export function isOffset(text: string): text is Offset {
  return OFFSET.test(text);
}

/** Returns the position that `offset` names. Without checks: see {@link isOffset}. */
export function positionOf(offset: string): Position {
  return { epoch: epochOf(offset), sequence: sequenceOf(offset) };
}

/** Returns the epoch of `offset`. Without checks: see {@link isOffset}. */
function epochOf(offset: string): Epoch {
  return offset.slice(0, EPOCH_DIGITS) as Epoch;
}

/** Returns the sequence of `offset`. Without checks: see {@link isOffset}. */
export function sequenceOf(offset: string): number {
  return Number(offset.slice(EPOCH_DIGITS + 1));
}

/**
 * Parses an offset that a client sent.
 *
 * @throws {Problem} `bad_cursor`
 */
export function parseOffset(text: string): Position {
  if (isOffset(text) && Number.isSafeInteger(sequenceOf(text))) return positionOf(text);
  throw new Problem(
    "bad_cursor",
    `Cannot parse ${quote(text)} as a cursor. Use one that Weir sent, "earliest" or "latest".`,
  );
}
