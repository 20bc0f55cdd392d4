import type { Signal } from "@preact/signals";
import type { RefObject, TargetedEvent } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TimelineRows } from "./timeline.ts";
import {
  drawnRows,
  type ListExtent,
  type RowRange,
  scrollTopOf,
  topOf,
  topToShow,
} from "./virtual_scroll.ts";

/** Rows that are drawn before the page runs, when the height of the list is unknown. */
const UNMEASURED_ROWS = 50;
/** Heights of a row in pixels. Keep them equal to those in event_list.css. */
const ROW_HEIGHT = 30;
const PHONE_ROW_HEIGHT = 56;
const PHONE = "(max-width: 760px), (pointer: coarse)";
/** Pixels from the end that still count as the end. */
const END_DISTANCE = 2;

interface ListScrollOptions {
  readonly rows: TimelineRows;
  /** Rows removed from the start so far. */
  readonly removed: number;
  readonly isFollowing: Signal<boolean>;
  readonly selected: string | undefined;
}

interface ListScroll {
  /** False on the server and before the first layout. */
  readonly isMeasured: boolean;
  readonly extent: ListExtent;
  /** The rows to draw. */
  readonly drawn: RowRange;
  /** The position of the first drawn row, in pixels of the scrolled element. */
  readonly offset: number;
  onScroll(event: TargetedEvent<HTMLDivElement>): void;
  /** Scrolls as little as needed to show the row. */
  reveal(index: number): void;
}

/**
 * Tracks how far a list is scrolled. While the list follows, it stays at its end; otherwise the
 * visible rows keep their place when rows above them are removed.
 */
export function useListScroll(
  scroller: RefObject<HTMLDivElement | null>,
  { rows, removed, isFollowing, selected }: ListScrollOptions,
): ListScroll {
  const top = useRef(0);
  const lastScrollTop = useRef(0);
  const lastRemoved = useRef(removed);
  const [, redraw] = useState({});
  const rowHeight = useRowHeight();
  const window = useHeight(scroller);
  const isMeasured = window > 0;
  const extent: ListExtent = { rows: rows.length, rowHeight, window };
  const end = Math.max(0, rows.length * rowHeight - window);

  top.current -= (removed - lastRemoved.current) * rowHeight;
  lastRemoved.current = removed;
  if (isFollowing.value) top.current = end;
  top.current = Math.max(0, Math.min(top.current, end));

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || !isMeasured) return;
    const wanted = scrollTopOf(top.current, extent);
    if (Math.abs(element.scrollTop - wanted) > 1) element.scrollTop = wanted;
    lastScrollTop.current = element.scrollTop;
  });
  // A row that is selected from the start is shown, unless the list follows.
  useLayoutEffect(() => {
    if (!isMeasured || isFollowing.peek() || selected === undefined) return;
    const index = rows.indexOf(selected);
    isFollowing.value = index < 0 || index === rows.length - 1;
    top.current = index * rowHeight - window / 2;
    redraw({});
  }, [isMeasured]);

  const drawn = isMeasured
    ? drawnRows(top.current, extent)
    : { start: Math.max(0, rows.length - UNMEASURED_ROWS), end: rows.length };
  return {
    isMeasured,
    extent,
    drawn,
    offset: scrollTopOf(top.current, extent) + drawn.start * rowHeight - top.current,
    onScroll({ currentTarget }) {
      const { scrollTop, clientHeight, scrollHeight } = currentTarget;
      if (Math.abs(scrollTop - lastScrollTop.current) <= 1) return; // scrolled by this hook
      if (scrollTop + clientHeight >= scrollHeight - END_DISTANCE) isFollowing.value = true;
      else if (scrollTop < lastScrollTop.current) isFollowing.value = false;
      lastScrollTop.current = scrollTop;
      top.current = topOf(scrollTop, extent);
      redraw({});
    },
    reveal(index) {
      top.current = topToShow(index, top.current, extent);
      redraw({});
    },
  };
}

/** Returns the height of an element in pixels, or 0 before the first layout. */
function useHeight(box: RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    setHeight(element.clientHeight);
    return () => observer.disconnect();
  }, []);
  return height;
}

function useRowHeight(): number {
  const [height, setHeight] = useState(ROW_HEIGHT);
  useLayoutEffect(() => {
    const query = matchMedia(PHONE);
    const set = () => setHeight(query.matches ? PHONE_ROW_HEIGHT : ROW_HEIGHT);
    set();
    query.addEventListener("change", set);
    return () => query.removeEventListener("change", set);
  }, []);
  return height;
}
