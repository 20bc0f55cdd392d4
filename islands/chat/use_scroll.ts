import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** How near to the end counts as being there, in CSS pixels. */
const END_DISTANCE = 40;
/** How near to the top more is wanted, in CSS pixels. */
const TOP_DISTANCE = 400;
/** How far under the upper edge the mark is put, as a part of the height. */
const MARK_AT = 0.25;

interface ScrollOptions {
  /** What is drawn: where one of it is another, so may the height be. */
  readonly version: readonly unknown[];
  /** Whether there is something that can be scrolled to. */
  readonly isReady: boolean;
  /** The `data-key` of the row to begin at. @default the end */
  readonly mark: string | undefined;
  /** Told at first, and when it is no longer so. */
  readonly moved: (isAtEnd: boolean) => void;
  /** Told whenever the top is near. */
  readonly nearTop: () => void;
}

/** A row and how far under the upper edge it was. */
interface Anchor {
  readonly row: HTMLElement;
  readonly top: number;
}

/**
 * Keeps a list of messages where whoever reads it is: at its end, as long as they are there, and
 * else at the row that they see, whatever comes in front of it.
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
  const told = useRef({ moved, nearTop });
  told.current = { moved, nearTop };

  function look(): void {
    const element = box.current;
    if (element === null || !place.current.isSet) return;
    const { scrollHeight, scrollTop, clientHeight } = element;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < END_DISTANCE;
    const wasAtEnd = place.current.isAtEnd;
    place.current = { isSet: true, isAtEnd, anchor: anchorOf(element) };
    setAtEnd(isAtEnd);
    if (isAtEnd !== wasAtEnd) told.current.moved(isAtEnd);
    if (scrollTop < TOP_DISTANCE) told.current.nearTop();
  }

  function keep(): void {
    const element = box.current;
    if (element === null || !isReady) return;
    const { isSet, isAtEnd, anchor } = place.current;
    if (!isSet) begin(element, mark);
    else if (isAtEnd) element.scrollTop = element.scrollHeight;
    else if (anchor?.row.isConnected) element.scrollTop = anchor.row.offsetTop - anchor.top;
    place.current.isSet = true;
    look();
    if (!isSet) told.current.moved(place.current.isAtEnd);
  }

  useLayoutEffect(keep, [...version, isReady]);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const ending = new AbortController();
    element.addEventListener("scroll", look, { passive: true, signal: ending.signal });
    const resized = new ResizeObserver((changes) => {
      const isOwn = changes.some(({ target }) => target === element);
      // A window that shrinks leaves the end in sight; a text that is unfolded is there to be read.
      if (isOwn && place.current.isAtEnd) element.scrollTop = element.scrollHeight;
      look();
    });
    resized.observe(element);
    const list = element.querySelector(":scope > ol");
    if (list !== null) resized.observe(list);
    return () => {
      ending.abort();
      resized.disconnect();
    };
  }, []);

  const toEnd = () => {
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  return { isAtEnd, toEnd };
}

function begin(element: HTMLElement, mark: string | undefined): void {
  const row = mark === undefined
    ? null
    : rowsOf(element).find(({ dataset }) => dataset["key"] === mark);
  element.scrollTop = row ? row.offsetTop - MARK_AT * element.clientHeight : element.scrollHeight;
}

/** The first row that can be seen. */
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
