import type { JSX } from "preact";
import { formatCount, formatRate } from "../format.ts";
import type { ChannelList as List, ListedChannel } from "./channel_list_model.ts";

interface ChannelListProps {
  readonly list: List;
  readonly channel: string | undefined;
  /** Whether there may be others than are shown. */
  readonly isGuarded: boolean;
  readonly onOpen: (channel: string) => void;
}

/** The tenant's channels by name, how fast each grows, and a way to any other. */
export function ChannelList(
  { list, channel, isGuarded, onOpen }: ChannelListProps,
): JSX.Element {
  const found = list.found.value;
  const wanted = list.search.value.trim();
  const isNew = wanted !== "" && !list.channels.value.some(({ channel }) => channel === wanted);
  return (
    <nav class="channels" aria-label="Channels">
      <form
        class="search"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (wanted !== "") onOpen(wanted);
        }}
      >
        <input
          type="search"
          aria-label="Find or open a channel"
          placeholder="Find or open a channel"
          autocomplete="off"
          spellcheck={false}
          value={list.search.value}
          onInput={({ currentTarget }) => list.search.value = currentTarget.value}
        />
      </form>
      {list.problem.value !== undefined && <p class="strip problem">{list.problem}</p>}
      <ul class="list">
        {isNew && (
          <li>
            <button type="button" class="channel is-new" onClick={() => onOpen(wanted)}>
              <span class="ellipsis">
                Open <strong>{wanted}</strong>
              </span>
            </button>
          </li>
        )}
        {found.map((one) => (
          <li key={one.channel}>
            <Channel one={one} isCurrent={one.channel === channel} onOpen={onOpen} />
          </li>
        ))}
      </ul>
      {found.length === 0 && wanted === "" && (
        <p class="empty hint">
          {isGuarded
            ? "No channels yet that you may read."
            : "No channels yet. The first event that is published makes one."}
        </p>
      )}
      {list.hasMore.value && (
        <button
          type="button"
          class="quiet more"
          onClick={() => void list.showMore()}
        >
          Show more
        </button>
      )}
    </nav>
  );
}

interface ChannelProps {
  readonly one: ListedChannel;
  readonly isCurrent: boolean;
  readonly onOpen: (channel: string) => void;
}

function Channel({ one, isCurrent, onOpen }: ChannelProps): JSX.Element {
  const { channel, events, rate } = one;
  return (
    <a
      href={`?${new URLSearchParams({ channel })}`}
      class="channel"
      {...isCurrent && { "aria-current": "true" as const }}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser's own ways
        event.preventDefault();
        onOpen(channel);
      }}
    >
      <span class="ellipsis" title={channel}>{channel}</span>
      {rate !== undefined && rate > 0
        ? <span class="number is-moving">{formatRate(rate)}/s</span>
        : <span class="number soft">{formatCount(events)}</span>}
    </a>
  );
}
