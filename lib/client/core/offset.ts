import { formatOffset, NO_EPOCH, positionOf } from "../../shared/offset.ts";

/** Whether no event of the channel can be between the two offsets. */
export function isNextOffset(previous: string, offset: string): boolean {
  const { epoch, sequence } = positionOf(previous);
  const next = positionOf(offset);
  return (epoch === next.epoch || epoch === NO_EPOCH) && next.sequence === sequence + 1;
}

/** Returns the offset with the sequence before that of `offset`. */
export function offsetBefore(offset: string): string {
  const { epoch, sequence } = positionOf(offset);
  return formatOffset(epoch, sequence - 1);
}
