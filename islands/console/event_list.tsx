import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { formatCount, formatRate } from "../format.ts";
import type { ChannelFeed } from "./channel_feed.ts";
import { EventRow } from "./event_row.tsx";
import { isFiltering } from "./filtered_rows.ts";
import type { TimelineRow } from "./timeline.ts";
import { VirtualList } from "./virtual_list.tsx";

const TYPES_ID = "types-seen";
/** Delay between the last key press and the filter. */
const FILTER_DELAY_MS = 150;

interface EventListProps {
  readonly feed: ChannelFeed;
  readonly selected: string | undefined;
  readonly onSelect: (row: TimelineRow) => void;
  /** Shown if there are no events. */
  readonly children: JSX.Element;
}

/** Lists a channel's events, live and back to the first, with a filter. */
export function EventList(
  { feed, selected, onSelect, children }: EventListProps,
): JSX.Element {
  const isFollowing = useSignal(selected === undefined);
  const version = feed.version.value;
  const { rows } = feed;
  const isFiltered = isFiltering(feed.filter.value);
  const unseen = useUnseen(rows.length + (isFiltered ? 0 : feed.removed), isFollowing.value, rows);
  return (
    <section class="events" aria-label="Events">
      <Toolbar feed={feed} />
      {feed.problem.value !== undefined && <p class="strip problem" role="alert">{feed.problem}</p>}
      {isFiltered && <SearchState feed={feed} found={rows.length} unsearched={feed.unsearched} />}
      <p class="hidden-visually" role="status">{feed.announcement}</p>
      <div class="rows-frame">
        {rows.length === 0
          ? (isFiltered ? <p class="empty hint">No matching events.</p> : children)
          : (
            <>
              {/* Rows are options of a list box, which has no headings. */}
              <div class="row-heads" aria-hidden="true">
                <span>No.</span>
                <span>Time, UTC</span>
                <span>Type</span>
                <span>Data</span>
              </div>
              <VirtualList
                key={isFiltered ? "filtered" : "all"}
                rows={rows}
                version={version}
                removed={feed.removed}
                label={`Events of ${feed.channel}`}
                isFollowing={isFollowing}
                selected={selected}
                renderRow={(row) => <EventRow row={row} />}
                onSelect={onSelect}
                onRange={(start, end) => feed.setVisibleRange(start, end)}
              />
            </>
          )}
        {!isFollowing.value && rows.length > 0 && (
          <button
            type="button"
            class="newest"
            onClick={() => isFollowing.value = true}
          >
            {unseen > 0 ? `${formatCount(unseen)} new` : "Newest"}
            <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
              <path d="M6 2v8M2.5 6.5 6 10l3.5-3.5" />
            </svg>
          </button>
        )}
      </div>
    </section>
  );
}

/** Counts the rows that arrived since the list last followed. */
function useUnseen(length: number, isFollowing: boolean, rows: object): number {
  const seen = useRef(length);
  const of = useRef(rows);
  if (isFollowing || of.current !== rows) seen.current = length;
  of.current = rows;
  return length - seen.current;
}

function Toolbar({ feed }: { readonly feed: ChannelFeed }): JSX.Element {
  const typing = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(typing.current), [feed]);
  const isPaused = feed.isPaused.value;
  return (
    <form
      class="toolbar"
      role="search"
      aria-label="Filter events"
      onSubmit={(event) => event.preventDefault()}
      onInput={({ currentTarget }) => {
        clearTimeout(typing.current);
        const fields = new FormData(currentTarget);
        const [type, text] = [String(fields.get("type")), String(fields.get("text"))];
        typing.current = setTimeout(() => feed.setFilter({ type, text }), FILTER_DELAY_MS);
      }}
    >
      <input
        name="text"
        type="search"
        aria-label="Filter by text"
        placeholder="Filter by text"
        autocomplete="off"
        spellcheck={false}
      />
      <input
        name="type"
        type="search"
        list={TYPES_ID}
        aria-label="Filter by type"
        placeholder="Type"
        autocomplete="off"
        spellcheck={false}
      />
      <datalist id={TYPES_ID}>
        {feed.types.map((type) => <option key={type} value={type} />)}
      </datalist>
      <span class="rate number" title="Events per second, averaged over the last seconds">
        {formatRate(feed.rate.value)}/s
      </span>
      <button
        type="button"
        class="quiet"
        aria-pressed={isPaused}
        onClick={() => isPaused ? feed.resume() : feed.pause()}
      >
        {isPaused ? "Resume" : "Pause"}
      </button>
    </form>
  );
}

interface SearchStateProps {
  readonly feed: ChannelFeed;
  readonly found: number;
  readonly unsearched: number;
}

/** Shows how much was searched and searches older events. */
function SearchState({ feed, found, unsearched }: SearchStateProps): JSX.Element {
  const isSearching = feed.isSearching.value;
  return (
    <p class="strip row">
      <span class="number" role="status">
        {formatCount(found)} found
        {unsearched > 0 && <>, {formatCount(unsearched)} older ones not searched</>}
      </span>
      {unsearched > 0 && (
        <button
          type="button"
          class="bare"
          disabled={isSearching}
          onClick={() => void feed.searchBack()}
        >
          {isSearching ? "Searching…" : "Search further back"}
        </button>
      )}
    </p>
  );
}
