import type { JSX } from "preact";
import { formatCount, formatName, formatRate } from "../format.ts";
import type { Rights } from "../rights.ts";
import type { ChannelListModel as List, ListedChannel } from "./channel_list_model.ts";

interface ChannelListProps {
  readonly list: List;
  readonly channel: string | undefined;
  /** Whether requests need a credential, so that some channels may be hidden. */
  readonly isGuarded: boolean;
  readonly rights: Rights;
  readonly onOpen: (channel: string) => void;
}

/** Lists the tenant's channels by name with their rates, and opens any other by its name. */
export function ChannelList(
  { list, channel, isGuarded, rights, onOpen }: ChannelListProps,
): JSX.Element {
  const found = list.found.value;
  const wanted = list.search.value.trim();
  const isNew = wanted !== "" && !found.some(({ channel }) => channel === wanted);
  const hasCurrent = found.some((listed) => listed.channel === channel);
  return (
    <nav
      class="channels"
      aria-label="Channels"
      onKeyDown={(event) => moveFocus(event, event.currentTarget)}
    >
      <ChannelSearch list={list} onOpen={onOpen} />
      {list.problem.value !== undefined && <p class="strip problem">{list.problem}</p>}
      <ul class="list">
        {found.map((listed, i) => {
          const isCurrent = listed.channel === channel;
          return (
            <li key={listed.channel}>
              <Channel
                listed={listed}
                isCurrent={isCurrent}
                isTabStop={hasCurrent ? isCurrent : i === 0}
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
        <NoChannels channel={channel} isGuarded={isGuarded} rights={rights} onOpen={onOpen} />
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

function ChannelSearch({ list, onOpen }: Pick<ChannelListProps, "list" | "onOpen">): JSX.Element {
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = list.search.value.trim();
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
  );
}

function NoChannels(
  { channel, isGuarded, rights, onOpen }: Omit<ChannelListProps, "list">,
): JSX.Element {
  return (
    <div class="empty hint stack">
      {isGuarded
        ? "There are no channels that you can read yet."
        : "No channels yet. Publish an event to create one."}
      {isGuarded && <Allowed what="read" patterns={rights.subscribe} onOpen={onOpen} />}
      {isGuarded && <Allowed what="publish to" patterns={rights.publish} onOpen={onOpen} />}
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
  );
}

interface AllowedProps extends Pick<ChannelListProps, "onOpen"> {
  readonly what: string;
  readonly patterns: readonly string[];
}

/** Says which channels a right covers, and opens those that it names. */
function Allowed({ what, patterns, onOpen }: AllowedProps): JSX.Element | null {
  if (patterns.length === 0) return null;
  return (
    <div>
      You may {what}:
      <ul class="list">
        {patterns.map((pattern) => (
          <li key={pattern}>
            {pattern.includes("*")
              ? <code>{formatName(pattern)}</code>
              : (
                <button type="button" class="bare" onClick={() => onOpen(pattern)}>
                  {formatName(pattern)}
                </button>
              )}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface ChannelProps {
  readonly listed: ListedChannel;
  readonly isCurrent: boolean;
  /** Whether the Tab key stops here. Arrow keys reach the other channels. */
  readonly isTabStop: boolean;
  readonly onOpen: (channel: string) => void;
}

function Channel({ listed, isCurrent, isTabStop, onOpen }: ChannelProps): JSX.Element {
  const { channel, events, rate } = listed;
  return (
    <a
      href={`?${new URLSearchParams({ channel })}`}
      class="channel"
      tabIndex={isTabStop ? 0 : -1}
      {...isCurrent && { "aria-current": "true" as const }}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // opens a tab or a window
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

/** Moves the focus through the search field and the channels by arrow keys, Home and End. */
function moveFocus(event: KeyboardEvent, list: HTMLElement): void {
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
