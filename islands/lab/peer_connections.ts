/**
 * The peer connections of this page. It takes the place of the browser's class, since a page cannot
 * cut WebRTC off the network otherwise.
 */
export class PeerConnections implements Disposable {
  readonly #native = globalThis.RTCPeerConnection;
  readonly #open = new Set<RTCPeerConnection>();

  constructor() {
    const open = this.#open;
    if (this.#native === undefined) return; // the room reports that
    globalThis.RTCPeerConnection = class extends this.#native {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        open.add(this);
      }

      override close(): void {
        open.delete(this);
        super.close();
      }
    };
  }

  /** Ends all connections at once, as a lost network does after a while. */
  cut(): void {
    for (const connection of [...this.#open]) connection.close();
  }

  [Symbol.dispose](): void {
    globalThis.RTCPeerConnection = this.#native;
  }
}
