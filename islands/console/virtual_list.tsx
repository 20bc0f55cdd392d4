import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { TimelineRow, TimelineRows } from "./timeline.ts";
import { useListScroll } from "./use_list_scroll.ts";
import { drawnHeight, type RowRange, selectionAfter } from "./virtual_scroll.ts";

interface VirtualListProps {
  readonly rows: TimelineRows;
  /** Changes when the rows do. */
  readonly version: number;
  /** Rows removed from the start so far. */
  readonly removed: number;
  readonly label: string;
  /** Whether the list sticks to the last row. */
  readonly isFollowing: Signal<boolean>;
  readonly selected: string | undefined;
  readonly renderRow: (row: TimelineRow) => JSX.Element;
  readonly onSelect: (row: TimelineRow) => void;
  /** Called with the rows that are in the document. */
  readonly onRange: (start: number, end: number) => void;
}

/**
 * A list of any length that keeps only the visible rows in the document. Arrow keys, Home, End and
 * the page keys move the selection, as in any listbox (WAI-ARIA 1.2).
 */
export function VirtualList(props: VirtualListProps): JSX.Element {
  const { rows, label, isFollowing, selected, renderRow, onSelect, onRange } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const { isMeasured, extent, drawn, offset, onScroll, reveal } = useListScroll(scroller, props);
  useEffect(() => {
    if (isMeasured) onRange(drawn.start, drawn.end);
  }, [drawn.start, drawn.end, rows, isMeasured]);

  function select(index: number): void {
    const row = rows.at(index);
    if (row === undefined) return;
    isFollowing.value = index === rows.length - 1;
    onSelect(row);
    reveal(index);
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = selected === undefined ? -1 : rows.indexOf(selected);
    const to = selectionAfter(event.key, at, extent);
    if (to === undefined) return;
    event.preventDefault();
    select(to);
  }

  return (
    <div
      ref={scroller}
      class={isMeasured ? "rows" : "rows still"}
      role="listbox"
      tabIndex={0}
      aria-label={label}
      {...selected !== undefined && { "aria-activedescendant": `row-${selected}` }}
      onScroll={onScroll}
      onKeyDown={press}
    >
      <div
        class="rows-extent"
        {...isMeasured && { style: { height: `${drawnHeight(extent)}px` } }}
      >
        <div
          class="rows-drawn"
          {...isMeasured && { style: { transform: `translateY(${offset}px)` } }}
        >
          <ListRows {...{ rows, drawn, selected, renderRow, select }} />
        </div>
      </div>
    </div>
  );
}

interface ListRowsProps extends Pick<VirtualListProps, "rows" | "selected" | "renderRow"> {
  readonly drawn: RowRange;
  readonly select: (index: number) => void;
}

function ListRows({ rows, drawn, selected, renderRow, select }: ListRowsProps): JSX.Element {
  const indexes = Array.from({ length: drawn.end - drawn.start }, (_, i) => drawn.start + i);
  return (
    <>
      {indexes.map((index) => {
        const row = rows.at(index);
        return row && (
          <ListRow
            key={row.key}
            row={row}
            isSelected={row.key === selected}
            index={index}
            count={rows.length}
            onClick={() => select(index)}
          >
            {renderRow(row)}
          </ListRow>
        );
      })}
    </>
  );
}

interface ListRowProps {
  readonly row: TimelineRow;
  readonly isSelected: boolean;
  readonly index: number;
  readonly count: number;
  readonly onClick: () => void;
  readonly children: ComponentChildren;
}

function ListRow({ row, isSelected, index, count, onClick, children }: ListRowProps): JSX.Element {
  return (
    <div
      id={`row-${row.key}`}
      role="option"
      aria-selected={isSelected}
      aria-posinset={index + 1}
      aria-setsize={count}
      class="row-line"
      data-kind={row.kind}
      data-offset={row.key}
      onClick={onClick}
    >
      {children}
    </div>
  );
}
