/**
 * Whether a session has joined. A client may send several calls to join without waiting for the
 * answers, and one of them may be accepted after another was refused.
 */
export class JoinState {
  #isJoined = false;
  #pendingCalls = 0;

  start(): void {
    this.#pendingCalls++;
  }

  accept(): void {
    this.#pendingCalls--;
    this.#isJoined = true;
  }

  /** @returns whether the session stays out: no call was accepted, and none is pending. */
  refuse(): boolean {
    this.#pendingCalls--;
    return !this.#isJoined && this.#pendingCalls === 0;
  }
}
