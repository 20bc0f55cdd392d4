/**
 * The tallest element that is drawn, in pixels: browsers stop at 17 to 33 million. What is taller
 * is scrolled through at a scale.
 */
export const MAX_HEIGHT = 8_000_000;
/** Rows that are drawn beyond what is seen, on each side. */
const OVERSCAN = 8;

/** A list of rows of one height, and the window that it is seen through. All in pixels. */
export interface Extent {
  readonly rows: number;
  readonly rowHeight: number;
  readonly window: number;
}

/** The height of the element that is scrolled. */
export function drawnHeight({ rows, rowHeight }: Extent): number {
  return Math.min(rows * rowHeight, MAX_HEIGHT);
}

/** How far the list's beginning is above the window, of the element's `scrollTop`. */
export function topOf(scrollTop: number, extent: Extent): number {
  return scaled(scrollTop, scrollRange(extent), listRange(extent));
}

/** The other way round. */
export function scrollTopOf(top: number, extent: Extent): number {
  return scaled(top, listRange(extent), scrollRange(extent));
}

/** The rows that are to be drawn: from `start`, up to but not including `end`. */
export function drawnRows(
  top: number,
  { rows, rowHeight, window }: Extent,
): { readonly start: number; readonly end: number } {
  const start = Math.floor(top / rowHeight) - OVERSCAN;
  const end = Math.ceil((top + window) / rowHeight) + OVERSCAN;
  return { start: clamp(start, 0, rows), end: clamp(end, 0, rows) };
}

/** The least that `top` has to move so that a row is seen whole. */
export function topToShow(row: number, top: number, { rowHeight, window }: Extent): number {
  return clamp(top, (row + 1) * rowHeight - window, row * rowHeight);
}

function scrollRange(extent: Extent): number {
  return Math.max(0, drawnHeight(extent) - extent.window);
}

function listRange({ rows, rowHeight, window }: Extent): number {
  return Math.max(0, rows * rowHeight - window);
}

function scaled(value: number, range: number, to: number): number {
  return range === to ? clamp(value, 0, to) : range === 0 ? 0 : clamp(value / range, 0, 1) * to;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(value, max));
}
