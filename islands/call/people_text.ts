/** Sentences about the people in a call. */

/** Returns `Ann, Bob and Cid are here.` @param names of the others */
export function presentText(names: readonly string[]): string {
  const last = names.at(-1);
  if (last === undefined) return "Nobody else is here yet.";
  return names.length === 1
    ? `${last} is here.`
    : `${names.slice(0, -1).join(", ")} and ${last} are here.`;
}

/** Returns `1 person` or `3 people`. */
export function countText(people: number): string {
  return people === 1 ? "1 person" : `${people} people`;
}
