import { ORIGIN } from "../../shared/offset.ts";

export function isNextOffset(at: string, offset: string): boolean {
  const isSameLife = at.slice(0, 9) === offset.slice(0, 9) || at.startsWith(ORIGIN.epoch);
  return isSameLife && sequenceOf(offset) === sequenceOf(at) + 1;
}

export function sequenceOf(offset: string): number {
  return Number(offset.slice(10));
}

/** The offset just in front. */
export function offsetBefore(offset: string): string {
  return offset.slice(0, 10) + String(sequenceOf(offset) - 1).padStart(16, "0");
}
