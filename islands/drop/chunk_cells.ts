/** The state of one chunk in a map of chunks. */
export const MISSING = 0;
export const RECEIVED = 1;
/** It was sent and did not arrive. */
export const LOST = 2;
/** It arrived after it was lost. */
export const REPAIRED = 3;

/** What one cell of the map shows. It stands for one or more chunks. */
export interface ChunkCell {
  /** Part of the cell's chunks that have arrived, from 0 to 1. */
  readonly arrived: number;
  readonly hasLost: boolean;
  readonly hasRepaired: boolean;
}

/** Sums up the chunks of a file in at most `maxCells` cells, in the order of the file. */
export function cellsOf(chunks: Uint8Array, maxCells: number): readonly ChunkCell[] {
  const count = Math.min(chunks.length, maxCells);
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor(i * chunks.length / count);
    const to = Math.floor((i + 1) * chunks.length / count);
    return cellOf(chunks.subarray(from, to));
  });
}

function cellOf(chunks: Uint8Array): ChunkCell {
  let arrived = 0;
  let hasLost = false;
  let hasRepaired = false;
  for (const chunk of chunks) {
    if (chunk === RECEIVED || chunk === REPAIRED) arrived++;
    hasLost ||= chunk === LOST;
    hasRepaired ||= chunk === REPAIRED;
  }
  return { arrived: arrived / chunks.length, hasLost, hasRepaired };
}
