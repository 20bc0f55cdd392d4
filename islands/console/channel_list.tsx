import type { JSX } from "preact";
import { formatCount, formatName, formatRate } from "../format.ts";
import type { ChannelListModel as List, ListedChannel } from "./channel_list_model.ts";

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
  const isNew = wanted !== "" && !found.some(({ channel }) => channel === wanted);
  const hasCurrent = found.some((one) => one.channel === channel);
  return (
    <nav
      class="channels"
      aria-label="Channels"
      onKeyDown={(event) => walk(event, event.currentTarget)}
    >
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
          onInput={({ currentTarget }) => void list.find(currentTarget.value)}
        />
      </form>
      {list.problem.value !== undefined && <p class="strip problem">{list.problem}</p>}
      <ul class="list">
        {found.map((one, i) => {
          const isCurrent = one.channel === channel;
          return (
            <li key={one.channel}>
              <Channel
                one={one}
                isCurrent={isCurrent}
                isStop={hasCurrent ? isCurrent : i === 0}
                onOpen={onOpen}
              />
            </li>
          );
        })}
        {isNew && (
          <li>
            <button type="button" class="channel is-new" onClick={() => onOpen(wanted)}>
              <span class="ellipsis">
                Open <strong>{formatName(wanted)}</strong>
              </span>
            </button>
          </li>
        )}
      </ul>
      {found.length === 0 && wanted === "" && (
        <div class="empty hint stack">
          {isGuarded
            ? "There are no channels that you can read yet."
            : "No channels yet. Publish an event to create one."}
          {channel !== undefined && (
            <button
              type="button"
              class="phone-only"
              onClick={() => onOpen(channel)}
            >
              Open {formatName(channel)}
            </button>
          )}
        </div>
      )}
      {list.hasMore.value && wanted === "" && (
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
  /** Whether it is the one stop of the Tab key; arrows go to the others. */
  readonly isStop: boolean;
  readonly onOpen: (channel: string) => void;
}

function Channel({ one, isCurrent, isStop, onOpen }: ChannelProps): JSX.Element {
  const { channel, events, rate } = one;
  return (
    <a
      href={`?${new URLSearchParams({ channel })}`}
      class="channel"
      tabIndex={isStop ? 0 : -1}
      {...isCurrent && { "aria-current": "true" as const }}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser's own ways
        event.preventDefault();
        onOpen(channel);
      }}
    >
      <span class="ellipsis" title={channel}>{formatName(channel)}</span>
      {rate !== undefined && rate > 0
        ? <span class="number is-moving">{formatRate(rate)}/s</span>
        : <span class="number soft">{formatCount(events)}</span>}
    </a>
  );
}

/** Arrows, Home and End go through the field and the channels under it. */
function walk(event: KeyboardEvent, list: HTMLElement): void {
  const stops = [...list.querySelectorAll<HTMLElement>("input, .channel")];
  const at = stops.findIndex((stop) => stop === document.activeElement);
  const isTyping = at === 0;
  const to: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    ...!isTyping && { Home: 1, End: stops.length - 1 },
  };
  const next = stops[to[event.key] ?? -1];
  if (at < 0 || next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  next.focus();
}
