const BAR_WIDTH = 24;

interface Progress {
  /** Lines with an answer. */
  readonly lines: number;
  readonly refused: number;
  /** Bytes of these lines. */
  readonly bytes: number;
  /** Bytes of the input, if they are known. */
  readonly totalBytes: number | undefined;
  readonly elapsedMs: number;
}

/** Returns a line of at most `columns` characters that shows how far publishing is. */
export function progressLine(progress: Progress, columns: number): string {
  const { lines, refused, bytes, totalBytes, elapsedMs } = progress;
  const parts = [`${formatNumber(lines)} events`, `${formatNumber(rateOf(lines, elapsedMs))}/s`];
  if (refused > 0) parts.push(`${formatNumber(refused)} refused`);
  if (totalBytes !== undefined && totalBytes > 0) {
    const share = Math.min(1, bytes / totalBytes);
    const filled = Math.round(share * BAR_WIDTH);
    const bar = "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled);
    parts.unshift(`[${bar}] ${Math.floor(share * 100)} %`);
    const leftSeconds = Math.round(elapsedMs * (1 - share) / share / 1_000);
    if (share > 0 && share < 1) parts.push(`${formatNumber(leftSeconds)} s left`);
  } else {
    parts.push(formatBytes(bytes));
  }
  return parts.join("  ").slice(0, columns);
}

/** Returns events per second. */
export function rateOf(events: number, elapsedMs: number): number {
  return Math.round(events / Math.max(elapsedMs, 1) * 1_000);
}

export function formatNumber(value: number): string {
  return value.toLocaleString("en-US");
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
