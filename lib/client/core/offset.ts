import { type Epoch, formatOffset, ORIGIN } from "../../shared/offset.ts";

/** Whether no event of the channel can be between the two offsets. */
export function isNextOffset(previous: string, offset: string): boolean {
  const isSameEpoch = previous.slice(0, 9) === offset.slice(0, 9) ||
    previous.startsWith(ORIGIN.epoch);
  return isSameEpoch && sequenceOf(offset) === sequenceOf(previous) + 1;
}

export function sequenceOf(offset: string): number {
  return Number(offset.slice(10));
}

/** Returns the offset with the sequence before that of `offset`. */
export function offsetBefore(offset: string): string {
  return formatOffset(offset.slice(0, 9) as Epoch, sequenceOf(offset) - 1);
}
