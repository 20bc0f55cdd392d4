import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TimelineRow, TimelineRows } from "./timeline.ts";
import {
  drawnHeight,
  drawnRows,
  type Extent,
  scrollTopOf,
  topOf,
  topToShow,
} from "./virtual_scroll.ts";

/** Rows that are drawn before the page runs, when nobody knows how many are seen. */
const STILL_ROWS = 50;
/** Heights of a row, in pixels: as in console.css. */
const ROW_HEIGHT = 30;
const PHONE_ROW_HEIGHT = 56;
const PHONE = "(max-width: 760px), (pointer: coarse)";
/** Pixels from the end that still count as the end. */
const END = 2;

interface VirtualListProps {
  readonly rows: TimelineRows;
  /** Changes when the rows do. */
  readonly version: number;
  /** Rows that were removed from the beginning, in all. */
  readonly removed: number;
  readonly label: string;
  /** Whether it sticks to the last row. */
  readonly isFollowing: Signal<boolean>;
  readonly selected: string | undefined;
  readonly draw: (row: TimelineRow) => JSX.Element;
  readonly onSelect: (row: TimelineRow) => void;
  /** Told which rows are drawn. */
  readonly want: (start: number, end: number) => void;
}

/**
 * A list of any length of which only what is seen is in the document. Chosen from by arrows, Home,
 * End and pages, as any listbox (WAI-ARIA 1.2).
 */
export function VirtualList(props: VirtualListProps): JSX.Element {
  const { rows, removed, isFollowing, selected, draw, onSelect, want } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const top = useRef(0);
  const lastScroll = useRef(0);
  const lastRemoved = useRef(removed);
  const [window, setWindow] = useState(0);
  const [, redraw] = useState({});
  const rowHeight = useRowHeight();
  const isAwake = window > 0;
  const extent: Extent = { rows: rows.length, rowHeight, window };
  const end = Math.max(0, rows.length * rowHeight - window);

  // The rows that are seen stay where they are when some above them go.
  top.current -= (removed - lastRemoved.current) * rowHeight;
  lastRemoved.current = removed;
  if (isFollowing.value) top.current = end;
  top.current = Math.max(0, Math.min(top.current, end));

  const drawn = isAwake
    ? drawnRows(top.current, extent)
    : { start: Math.max(0, rows.length - STILL_ROWS), end: rows.length };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWindow(element.clientHeight));
    observer.observe(element);
    setWindow(element.clientHeight);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || !isAwake) return;
    const wanted = scrollTopOf(top.current, extent);
    if (Math.abs(element.scrollTop - wanted) > 1) element.scrollTop = wanted;
    lastScroll.current = element.scrollTop;
  });
  // Where a line is chosen from the start, and it isn't followed, that line is seen.
  useLayoutEffect(() => {
    if (!isAwake || isFollowing.peek() || selected === undefined) return;
    const index = rows.indexOf(selected);
    isFollowing.value = index < 0 || index === rows.length - 1;
    top.current = index * rowHeight - window / 2;
    redraw({});
  }, [isAwake]);
  useEffect(() => {
    if (isAwake) want(drawn.start, drawn.end);
  }, [drawn.start, drawn.end, rows, isAwake]);

  function scroll(element: HTMLDivElement): void {
    const { scrollTop, clientHeight, scrollHeight } = element;
    if (Math.abs(scrollTop - lastScroll.current) <= 1) return; // its own doing
    if (scrollTop + clientHeight >= scrollHeight - END) isFollowing.value = true;
    else if (scrollTop < lastScroll.current) isFollowing.value = false;
    lastScroll.current = scrollTop;
    top.current = topOf(scrollTop, extent);
    redraw({});
  }

  function show(index: number): void {
    const row = rows.at(index);
    if (row === undefined) return;
    isFollowing.value = index === rows.length - 1;
    top.current = topToShow(index, top.current, extent);
    onSelect(row);
    redraw({});
  }

  function press(event: KeyboardEvent): void {
    const at = selected === undefined ? -1 : rows.indexOf(selected);
    const page = Math.max(1, Math.floor(window / rowHeight) - 1);
    const last = rows.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowUp: at < 0 ? last : at - 1,
      ArrowDown: at < 0 ? last : at + 1,
      PageUp: (at < 0 ? last : at) - page,
      PageDown: (at < 0 ? last : at) + page,
      Home: 0,
      End: last,
    };
    const to = moves[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(Math.max(0, Math.min(to, last)));
  }

  const lines: JSX.Element[] = [];
  for (let index = drawn.start; index < drawn.end; index++) {
    const row = rows.at(index);
    if (row === undefined) continue;
    lines.push(
      <div
        key={row.key}
        id={`row-${row.key}`}
        role="option"
        aria-selected={row.key === selected}
        aria-posinset={index + 1}
        aria-setsize={rows.length}
        class="row-line"
        data-kind={row.kind}
        data-offset={row.key}
        onClick={() => show(index)}
      >
        {draw(row)}
      </div>,
    );
  }
  const offset = scrollTopOf(top.current, extent) + drawn.start * rowHeight - top.current;
  return (
    <div
      ref={scroller}
      class={isAwake ? "rows" : "rows still"}
      role="listbox"
      tabIndex={0}
      aria-label={props.label}
      {...selected !== undefined && { "aria-activedescendant": `row-${selected}` }}
      onScroll={({ currentTarget }) => scroll(currentTarget)}
      onKeyDown={press}
    >
      {isAwake
        ? (
          <div class="rows-extent" style={{ height: `${drawnHeight(extent)}px` }}>
            <div class="rows-drawn" style={{ transform: `translateY(${offset}px)` }}>{lines}</div>
          </div>
        )
        : (
          <div class="rows-extent">
            <div class="rows-drawn">{lines}</div>
          </div>
        )}
    </div>
  );
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
