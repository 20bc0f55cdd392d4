import { Problem, quote } from "./problem.ts";

/** Names one life of a channel's log: 9 digits of base 36, the milliseconds of its creation. */
export type Epoch = string & { readonly __brand: "Epoch" };

/** `<epoch>_<sequence>`, fixed width: sorts as text in log order. Opaque to clients. */
export type Offset = string & { readonly __brand: "Offset" };

/** A place in one channel's log: just after the event with this sequence; 0 is before the first. */
export interface Position {
  readonly epoch: Epoch;
  readonly sequence: number;
}

const EPOCH_DIGITS = 9;
const SEQUENCE_DIGITS = 16;
const OFFSET = /^([0-9a-z]{9})_([0-9]{16})$/;

/** The epoch of no log: a subscriber that was there before the channel has it in its cursor. */
export const NO_EPOCH = "000000000" as Epoch;

/** Before every event of every life of a channel. */
export const ORIGIN: Position = { epoch: NO_EPOCH, sequence: 0 };

/** The epoch of a log created now; later than `previous`, whatever the clock says. */
export function epochAt(now: number, previous: Epoch = NO_EPOCH): Epoch {
  const time = Math.max(Math.floor(now), epochTime(previous) + 1);
  return time.toString(36).padStart(EPOCH_DIGITS, "0") as Epoch;
}

/** Milliseconds since 1970 at which the epoch began (as its creator's clock said). */
export function epochTime(epoch: Epoch): number {
  return parseInt(epoch, 36);
}

export function formatOffset(epoch: Epoch, sequence: number): Offset {
  return `${epoch}_${String(sequence).padStart(SEQUENCE_DIGITS, "0")}` as Offset;
}

export function offsetOf(position: Position): Offset {
  return formatOffset(position.epoch, position.sequence);
}

/** Whether `text` has the form of an offset. */
export function isOffset(text: string): boolean {
  return OFFSET.test(text);
}

/** @throws {Problem} `bad_cursor` */
export function parseOffset(text: string): Position {
  const match = OFFSET.exec(text);
  const sequence = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(sequence)) {
    throw new Problem(
      "bad_cursor",
      `Cannot read ${quote(text)} as a cursor: take one that Weir sent, "earliest" or "latest".`,
    );
  }
  return { epoch: match[1] as Epoch, sequence };
}
