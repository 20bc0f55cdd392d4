/**
 * The height of the tallest element that is drawn, in pixels: browsers stop at 17 to 33 million. A
 * taller list is scrolled at a scale.
 */
export const MAX_HEIGHT = 8_000_000;
/** Rows drawn beyond the visible ones, on each side. */
const OVERSCAN = 8;

/** A list of rows of one height and the window through which it is seen, in pixels. */
export interface ListExtent {
  readonly rows: number;
  readonly rowHeight: number;
  readonly window: number;
}

/** Rows from `start` up to but not including `end`. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** Returns the height of the scrolled element. */
export function drawnHeight({ rows, rowHeight }: ListExtent): number {
  return Math.min(rows * rowHeight, MAX_HEIGHT);
}

/** Converts the element's `scrollTop` to the distance between the list's start and the window. */
export function topOf(scrollTop: number, extent: ListExtent): number {
  return scaled(scrollTop, scrollRange(extent), listRange(extent));
}

/** The inverse of {@link topOf}. */
export function scrollTopOf(top: number, extent: ListExtent): number {
  return scaled(top, listRange(extent), scrollRange(extent));
}

/** Returns the rows to draw. */
export function drawnRows(top: number, { rows, rowHeight, window }: ListExtent): RowRange {
  const start = Math.floor(top / rowHeight) - OVERSCAN;
  const end = Math.ceil((top + window) / rowHeight) + OVERSCAN;
  return { start: clamp(start, 0, rows), end: clamp(end, 0, rows) };
}

/** Moves `top` as little as needed to make the whole row visible. */
export function topToShow(row: number, top: number, { rowHeight, window }: ListExtent): number {
  return clamp(top, (row + 1) * rowHeight - window, row * rowHeight);
}

/**
 * Returns the row that a key selects, or undefined for keys that do not move the selection.
 *
 * @param at the selected row, or -1
 */
export function selectionAfter(
  key: string,
  at: number,
  { rows, rowHeight, window }: ListExtent,
): number | undefined {
  const page = Math.max(1, Math.floor(window / rowHeight) - 1);
  const last = rows - 1;
  const from = at < 0 ? last : at;
  const moves: Readonly<Record<string, number>> = {
    ArrowUp: at < 0 ? last : at - 1,
    ArrowDown: at < 0 ? last : at + 1,
    PageUp: from - page,
    PageDown: from + page,
    Home: 0,
    End: last,
  };
  const to = moves[key];
  return to === undefined ? undefined : Math.max(0, Math.min(to, last));
}

function scrollRange(extent: ListExtent): number {
  return Math.max(0, drawnHeight(extent) - extent.window);
}

function listRange({ rows, rowHeight, window }: ListExtent): number {
  return Math.max(0, rows * rowHeight - window);
}

function scaled(value: number, range: number, to: number): number {
  return range === to ? clamp(value, 0, to) : range === 0 ? 0 : clamp(value / range, 0, 1) * to;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(value, max));
}
