import type { Hub } from "../hub/hub.ts";
import type { Channel, ChannelKey } from "../shared/channel.ts";
import { type After, type Cursor, formatCursor, hashChannels } from "../shared/cursor.ts";
import type { Epoch, Position } from "../shared/offset.ts";

/**
 * Resolves `after` to a position for each of `channelKeys`.
 *
 * @throws {import("../shared/problem.ts").Problem} `storage_*`
 */
export async function startPositions(
  hub: Pick<Hub, "earliest" | "latest">,
  channelKeys: readonly ChannelKey[],
  after: After,
): Promise<readonly Position[]> {
  if (typeof after !== "string") return after;
  return await Promise.all(
    channelKeys.map((channelKey) =>
      after === "earliest" ? hub.earliest(channelKey) : hub.latest(channelKey)
    ),
  );
}

/** How far one reader has read in each of its channels. One cursor covers all of them. */
export class ReadPositions {
  readonly #channels: readonly Channel[];
  readonly #positions: Position[];
  /** Of many names it takes longer than the rest of a cursor. */
  readonly #hash: readonly number[];

  /** @param positions one for each of `channels`, which are sorted and without repeats */
  constructor(channels: readonly Channel[], positions: readonly Position[]) {
    this.#channels = channels;
    this.#positions = [...positions];
    this.#hash = hashChannels(channels);
  }

  get cursor(): Cursor {
    return formatCursor(this.#channels, this.#positions, this.#hash);
  }

  /** Returns the position in the channel at `index`. */
  at(index: number): Position | undefined {
    return this.#positions[index];
  }

  /** Records that the reader has read the channel at `index` up to `sequence`. */
  advance(index: number, epoch: Epoch, sequence: number): void {
    this.#positions[index] = { epoch, sequence };
  }

  /** Advances the channel at `index` and returns the cursor for the new positions. */
  advanceCursor(index: number, epoch: Epoch, sequence: number): Cursor {
    this.advance(index, epoch, sequence);
    return this.cursor;
  }
}
