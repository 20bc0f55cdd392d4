const BAR_WIDTH = 24;

interface Progress {
  /** Items so far, such as lines with an answer. Undefined if only bytes are counted. */
  readonly events: number | undefined;
  readonly refused?: number;
  /** Undefined if only items are counted. */
  readonly bytes: number | undefined;
  /** The bytes at the end, if they are known. */
  readonly totalBytes: number | undefined;
  /** The items at the end, if they are known and the bytes are not. */
  readonly totalEvents?: number;
  readonly elapsedMs: number;
}

/** Returns a line of at most `columns` characters that shows how far a command is. */
export function progressLine(progress: Progress, columns: number): string {
  const { events, refused = 0, bytes, totalBytes, totalEvents, elapsedMs } = progress;
  const parts: string[] = [];
  if (events !== undefined) {
    parts.push(countOf(events, "event"), `${formatNumber(rateOf(events, elapsedMs))}/s`);
  }
  if (refused > 0) parts.push(`${formatNumber(refused)} refused`);
  const share = shareOf(bytes, totalBytes) ?? shareOf(events, totalEvents);
  if (share !== undefined) {
    const filled = Math.round(share * BAR_WIDTH);
    const bar = "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled);
    parts.unshift(`[${bar}] ${Math.floor(share * 100)} %`);
    if (events === undefined) parts.push(`${formatBytes(bytes)} of ${formatBytes(totalBytes)}`);
    const leftSeconds = Math.round(elapsedMs * (1 - share) / share / 1_000);
    if (share > 0 && share < 1) parts.push(`${formatNumber(leftSeconds)} s left`);
  } else if (bytes !== undefined) {
    parts.push(formatBytes(bytes));
  }
  return parts.join("  ").slice(0, columns);
}

function shareOf(done: number | undefined, total: number | undefined): number | undefined {
  if (done === undefined || total === undefined || total <= 0) return undefined;
  return Math.min(1, done / total);
}

/** Returns events per second. */
export function rateOf(events: number, elapsedMs: number): number {
  return Math.round(events / Math.max(elapsedMs, 1) * 1_000);
}

export function formatNumber(value: number): string {
  return value.toLocaleString("en-US");
}

/** Returns a number with what it counts, such as `1 event` or `2 events`. */
export function countOf(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Returns the verb for so many: `was` for one. */
export function wasOrWere(count: number): string {
  return count === 1 ? "was" : "were";
}

export function formatBytes(bytes = 0): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
