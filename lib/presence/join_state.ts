/**
 * Whether a session has joined. A client may send several calls to join without waiting for the
 * answers, and one of them may be accepted after another was refused.
 */
export class JoinState {
  #isJoined = false;
  #pendingCalls = 0;

  get isJoined(): boolean {
    return this.#isJoined;
  }

  start(): void {
    this.#pendingCalls++;
  }

  accept(): void {
    this.#pendingCalls--;
    this.#isJoined = true;
  }

  /** Returns whether the session has not joined: no call was accepted or is still pending. */
  refuse(): boolean {
    this.#pendingCalls--;
    return !this.#isJoined && this.#pendingCalls === 0;
  }
}
