import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";

/** Turns notes into the bytes or text of one transport. One object for each form of frames. */
export type EphemeralEncoder<T> = (batch: EphemeralBatch) => T;

/**
 * Ephemeral events of one channel that are delivered together. Immutable and shared by everyone who
 * is sent them: each encoding is made once.
 */
export class EphemeralBatch {
  readonly #encodings = new Map<EphemeralEncoder<unknown>, unknown>();

  constructor(readonly channelKey: ChannelKey, readonly events: readonly EphemeralEvent[]) {}

  encode<T>(encoder: EphemeralEncoder<T>): T {
    const known = this.#encodings.get(encoder);
    if (known !== undefined) return known as T;
    const encoding = encoder(this);
    this.#encodings.set(encoder, encoding);
    return encoding;
  }
}
