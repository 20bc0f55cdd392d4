/** Levels of arrays and objects in an event's data. Guards against recursion that ends the stack. */
export const MAX_JSON_DEPTH = 64;

/** Returns whether a value of JSON has more than `levels` levels of arrays and objects. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((member) => isDeeperThan(member, levels - 1));
}
