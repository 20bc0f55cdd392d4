import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Distance from the end that still counts as the end, in CSS pixels. */
const END_DISTANCE = 40;
/** Distance from the top at which earlier messages are loaded, in CSS pixels. */
const TOP_DISTANCE = 400;
/** Position of the mark at first, as a fraction of the height. */
const MARK_AT = 0.25;

interface ScrollOptions {
  /** Values that may change the height. */
  readonly version: readonly unknown[];
  /** Whether there are messages to scroll to. */
  readonly isReady: boolean;
  /** The `data-key` of the row to start at; undefined: the end. */
  readonly mark: string | undefined;
  /** Called at first and after each change. */
  readonly moved: (isAtEnd: boolean) => void;
  /** Called whenever the top is near. */
  readonly nearTop: () => void;
}

/** A row and its distance from the upper edge. */
interface Anchor {
  readonly row: HTMLElement;
  readonly top: number;
}

/**
 * Keeps the scroll position of a list of messages: at the end while the reader is there, and
 * otherwise at the row that they see, even when rows are added above it.
 */
export function useScroll(
  box: RefObject<HTMLElement | null>,
  { version, isReady, mark, moved, nearTop }: ScrollOptions,
): { readonly isAtEnd: boolean; readonly toEnd: () => void } {
  const [isAtEnd, setAtEnd] = useState(true);
  const place = useRef<{ isSet: boolean; isAtEnd: boolean; anchor: Anchor | undefined }>({
    isSet: false,
    isAtEnd: true,
    anchor: undefined,
  });
  const callbacks = useRef({ moved, nearTop });
  callbacks.current = { moved, nearTop };

  function update(): void {
    const element = box.current;
    if (element === null || !place.current.isSet) return;
    const { scrollHeight, scrollTop, clientHeight } = element;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < END_DISTANCE;
    const wasAtEnd = place.current.isAtEnd;
    place.current = { isSet: true, isAtEnd, anchor: anchorOf(element) };
    setAtEnd(isAtEnd);
    if (isAtEnd !== wasAtEnd) callbacks.current.moved(isAtEnd);
    if (scrollTop < TOP_DISTANCE) callbacks.current.nearTop();
  }

  function keep(): void {
    const element = box.current;
    if (element === null || !isReady) return;
    const { isSet, isAtEnd, anchor } = place.current;
    if (!isSet) begin(element, mark);
    else if (isAtEnd) element.scrollTop = element.scrollHeight;
    else if (anchor?.row.isConnected) element.scrollTop = anchor.row.offsetTop - anchor.top;
    place.current.isSet = true;
    update();
    if (!isSet) callbacks.current.moved(place.current.isAtEnd);
  }

  useLayoutEffect(keep, [...version, isReady]);
  useScrollEvents(box, () => place.current.isAtEnd, update);

  const toEnd = () => {
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  return { isAtEnd, toEnd };
}

/** Calls `update` after each scroll and each change of size. */
function useScrollEvents(
  box: RefObject<HTMLElement | null>,
  isAtEnd: () => boolean,
  update: () => void,
): void {
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const ending = new AbortController();
    element.addEventListener("scroll", update, { passive: true, signal: ending.signal });
    const resized = new ResizeObserver((changes) => {
      const isOwn = changes.some(({ target }) => target === element);
      // A window that shrinks keeps the end visible. A message that unfolds keeps its place.
      if (isOwn && isAtEnd()) element.scrollTop = element.scrollHeight;
      update();
    });
    resized.observe(element);
    const list = element.querySelector(":scope > ol");
    if (list !== null) resized.observe(list);
    return () => {
      ending.abort();
      resized.disconnect();
    };
  }, []);
}

function begin(element: HTMLElement, mark: string | undefined): void {
  const row = mark === undefined
    ? null
    : rowsOf(element).find(({ dataset }) => dataset["key"] === mark);
  element.scrollTop = row ? row.offsetTop - MARK_AT * element.clientHeight : element.scrollHeight;
}

/** Returns the first visible row. */
function anchorOf(element: HTMLElement): Anchor | undefined {
  const rows = rowsOf(element);
  let low = 0;
  for (let high = rows.length; low < high;) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row !== undefined && row.offsetTop + row.offsetHeight <= element.scrollTop) {
      low = middle + 1;
    } else high = middle;
  }
  const row = rows[low];
  return row && { row, top: row.offsetTop - element.scrollTop };
}

function rowsOf(element: HTMLElement): readonly HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>(":scope > ol > li")];
}
