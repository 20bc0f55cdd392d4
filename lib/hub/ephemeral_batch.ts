import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";

/** Encodes a batch for one transport. Each encoding has one encoder object. */
export type EphemeralEncoder<T> = (batch: EphemeralBatch) => T;

/**
 * Ephemeral events of one channel that are delivered together. A batch is immutable and shared by
 * all its subscribers, so that each encoding is made once.
 */
export class EphemeralBatch {
  readonly #encodings = new Map<EphemeralEncoder<unknown>, unknown>();

  constructor(readonly channelKey: ChannelKey, readonly events: readonly EphemeralEvent[]) {}

  /** Returns the encoding of `encoder`, made by the first call. */
  encode<T>(encoder: EphemeralEncoder<T>): T {
    const known = this.#encodings.get(encoder);
    if (known !== undefined) return known as T;
    const encoding = encoder(this);
    this.#encodings.set(encoder, encoding);
    return encoding;
  }
}
