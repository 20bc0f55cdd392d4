import type { Channel } from "../shared/channel.ts";
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import type { Epoch, Position } from "../shared/offset.ts";

/** Where a subscription to several channels stands: what its cursor is made of. */
export class Vector {
  readonly #channels: readonly Channel[];
  readonly #positions: Position[];

  /** @param positions in the order of `channels`, which are sorted and without repeats. */
  constructor(channels: readonly Channel[], positions: readonly Position[]) {
    this.#channels = channels;
    this.#positions = [...positions];
  }

  get cursor(): Cursor {
    return formatCursor(this.#channels, this.#positions);
  }

  get positions(): readonly Position[] {
    return this.#positions;
  }

  /** The channel at `index` has come to `sequence`. */
  move(index: number, epoch: Epoch, sequence: number): void {
    this.#positions[index] = { epoch, sequence };
  }

  /** The cursor once the channel at `index` has come to `sequence`. */
  at(index: number, epoch: Epoch, sequence: number): Cursor {
    this.move(index, epoch, sequence);
    return this.cursor;
  }
}
