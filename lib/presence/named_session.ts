import type { Member } from "./member.ts";

/** A member, and the name that its client gave to a session. */
export interface MemberSession {
  readonly member: Member;
  readonly sessionName: string;
}

/**
 * A session that others see by its name. Sessions of a member with the same name, such as a socket
 * and the one that replaces it, count as one.
 */
export class NamedSession {
  readonly name: string;
  /**
   * Whether the session may only join if there is room in the list of the member's sessions. Else
   * it joins without being listed.
   */
  readonly mustBeListed: boolean;

  constructor(name: string, mustBeListed: boolean) {
    this.name = name;
    this.mustBeListed = mustBeListed;
  }
}
