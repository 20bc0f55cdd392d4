import type { Peer } from "../../lib/client/rtc/api.ts";
import { formatName } from "../format.ts";
import { nameIn } from "../person_name.ts";

/** What people tell others about themselves when they join. Peers may send anything. */
export interface PersonData {
  readonly name: string;
}

/** A session in the room, as a target for files. */
export interface Person {
  readonly peer: Peer<PersonData>;
  readonly name: string;
  /** Tells sessions with the same name apart. */
  readonly note?: string;
}

/** Letters of an id that tell apart two people with the same name. */
const ID_LETTERS = 4;

/** Returns the name of a peer. Characters that change the direction of text are escaped. */
export function nameOf({ data, member }: Peer<PersonData>): string {
  return formatName(nameIn(data.value) ?? member);
}

/**
 * Returns the other sessions in the room with their names.
 *
 * @param own the visitor's member
 */
export function peopleOf(
  peers: readonly Peer<PersonData>[],
  own: string | undefined,
): readonly Person[] {
  const names = peers.map(nameOf);
  return peers.map((peer, i) => {
    const name = names[i] ?? peer.member;
    if (peer.member === own) return { peer, name, note: "you, in another tab" };
    const isRepeated = names.some((other, j) => j !== i && other === name);
    return { peer, name, ...isRepeated && { note: `#${peer.session.slice(0, ID_LETTERS)}` } };
  });
}
