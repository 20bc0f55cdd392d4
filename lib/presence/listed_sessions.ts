/**
 * Named sessions of one member. Guards against rows and events that grow with each session: every
 * change of the list is sent to everyone who watches the channel's members.
 */
export const MAX_LISTED_SESSIONS = 20;

/** The part of a member's row about its sessions. */
export interface MemberSessions {
  /** The isolates that have sessions of the member, or had them when their lease expired. */
  readonly isolates: readonly string[];
  /** The names of the sessions by isolate, sorted. Absent if no session has a name. */
  readonly sessions?: { readonly [isolate: string]: readonly string[] };
}

/** Returns the names of a member's sessions on all isolates, sorted and without repeats. */
export function listedSessions({ isolates, sessions }: MemberSessions): readonly string[] {
  if (sessions === undefined) return [];
  // A version of Weir without named sessions removes an isolate and leaves its list.
  const names = isolates.flatMap((isolate) => sessions[isolate] ?? []);
  return [...new Set(names)].sort();
}

/**
 * Returns the row with `isolate`, and with `names` as the names of its sessions; without the
 * isolate if `names` is undefined.
 */
export function withSessions<Row extends MemberSessions>(
  { sessions = {}, ...row }: Row,
  isolate: string,
  names: readonly string[] | undefined,
): Omit<Row, "sessions"> & MemberSessions {
  const others = row.isolates.filter((other) => other !== isolate);
  const isolates = names === undefined
    ? others
    : row.isolates.includes(isolate)
    ? row.isolates
    : [...row.isolates, isolate];
  const lists = isolates.flatMap((id) => {
    const list = (id === isolate ? names : sessions[id]) ?? [];
    return list.length > 0 ? [[id, list] as const] : [];
  });
  return { ...row, isolates, ...lists.length > 0 && { sessions: Object.fromEntries(lists) } };
}

export function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, i) => name === other[i]);
}
