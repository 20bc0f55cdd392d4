import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useIsLost } from "../connection_state.tsx";
import { currentClient } from "../current_client.ts";
import { formatName } from "../format.ts";
import type { ChannelFeed } from "./channel_feed.ts";
import { ChannelList } from "./channel_list.tsx";
import { ConnectionBar } from "./connection_bar.tsx";
import { type ChannelTab, ConsoleModel, type ConsoleProps, type SideTab } from "./console_model.ts";
import { EventList } from "./event_list.tsx";
import { Inspector } from "./inspector.tsx";
import { Members } from "./members.tsx";
import { PublishForm } from "./publish_form.tsx";
import { isSystemChannel, may, mayRead } from "../rights.ts";
import { Settings } from "./settings.tsx";
import { Snippets } from "./snippet_list.tsx";
import { clientFirst, curlFirst, curlFollow, INSTALL, reactRead } from "./snippets.ts";
import { Tabs } from "./tabs.tsx";
import { useObservable } from "../use_observable.ts";

const TABS: readonly (readonly [ChannelTab, string])[] = [
  ["events", "Events"],
  ["members", "Members"],
  ["settings", "Settings"],
];
const SIDES: readonly (readonly [SideTab, string])[] = [["publish", "Publish"], ["row", "Event"]];

/** The console page: all channels, the events of one of them, and a panel for its details. */
export function Console(props: ConsoleProps): JSX.Element {
  const model = useMemo(() => new ConsoleModel(props), []);
  useEffect(() => model.start(), []);
  const channel = model.channel.value;
  const feed = model.feed.value;
  const isStale = useIsLost(useObservable(currentClient.value?.state));
  return (
    <div class="console fill" data-level={model.level.value} data-stale={isStale || undefined}>
      <h1 class="hidden-visually">Console</h1>
      <ChannelList
        list={model.list}
        channel={channel}
        isGuarded={model.isGuarded}
        rights={model.rights}
        onOpen={(name) => {
          void model.list.find("");
          model.open(name);
        }}
      />
      {channel === undefined || feed === undefined
        ? (
          <p class="empty hint">
            Open a channel by its name.
          </p>
        )
        : (
          <>
            <ChannelView key={channel} model={model} channel={channel} feed={feed} />
            <SideView key={`side ${channel}`} model={model} channel={channel} />
          </>
        )}
    </div>
  );
}

interface ViewProps {
  readonly model: ConsoleModel;
  readonly channel: string;
}

interface FeedViewProps extends ViewProps {
  readonly feed: ChannelFeed;
}

function ChannelView({ model, channel, feed }: FeedViewProps): JSX.Element {
  const tab = model.tab.value;
  const [hasTools, setTools] = useState(false);
  return (
    <section
      class="channel-view"
      aria-labelledby="channel-title"
      data-tools={hasTools || undefined}
    >
      <header class="channel-head">
        <BackButton model={model} label="Channels" />
        <h2 id="channel-title" class="ellipsis" title={channel}>{formatName(channel)}</h2>
        <Tabs
          label="The channel"
          panel="channel-panel"
          tabs={TABS}
          chosen={tab}
          onChoose={(chosen) => model.tab.value = chosen}
        />
        {tab === "events" && (
          <button
            type="button"
            class="quiet phone-only tools-button"
            aria-expanded={hasTools}
            onClick={() => setTools(!hasTools)}
          >
            Filter
          </button>
        )}
        <button type="button" class="new-event" onClick={() => model.showSide("publish")}>
          New event
        </button>
      </header>
      <div id="channel-panel" class="panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "events"
          ? <EventsTab model={model} channel={channel} feed={feed} />
          : isSystemChannel(channel)
          ? <p class="empty hint">System channels have no members and no settings.</p>
          : tab === "members"
          ? <Members channel={channel} isAllowed={may(model.rights, "presence", channel)} />
          : <SettingsTab model={model} channel={channel} />}
      </div>
    </section>
  );
}

function EventsTab({ model, channel, feed }: FeedViewProps): JSX.Element {
  if (!mayRead(model.rights, channel)) {
    return (
      <p class="empty hint">
        You don't have permission to read <code>{channel}</code>. Choose another channel
        {model.isGuarded && ", or sign in with another token"}.
      </p>
    );
  }
  return (
    <>
      <ConnectionBar model={model} feed={feed} />
      <EventList
        key={feed}
        feed={feed}
        selected={model.selected.value?.key}
        onSelect={(row) => model.select(row)}
      >
        <EmptyChannel model={model} channel={channel} />
      </EventList>
    </>
  );
}

function SettingsTab({ model, channel }: ViewProps): JSX.Element {
  const isAllowed = may(model.rights, "manage", channel);
  return (
    <Settings
      channel={channel}
      isVisible={isAllowed || mayRead(model.rights, channel)}
      isAllowed={isAllowed}
      onDelete={() => {
        model.tab.value = "events";
        model.reload();
      }}
    />
  );
}

/** Explains how to publish to a channel without events, and how to read it. */
function EmptyChannel({ model, channel }: ViewProps): JSX.Element {
  const { rights, isGuarded } = model;
  const mayPublish = may(rights, "publish", channel) && !isSystemChannel(channel);
  return (
    <div class="empty hint stack scrolled">
      <p>
        <strong>No events yet.</strong> Events published to <code>{formatName(channel)}</code>{" "}
        appear here immediately.
      </p>
      <Snippets
        isGuarded={isGuarded}
        isOpen
        snippets={(target) => [
          ["Publish, curl", mayPublish ? curlFirst(channel, target) : undefined],
          ["Read, curl", curlFollow(channel, target)],
          ["Install the client library", INSTALL],
          ["Read, React", reactRead(channel, target)],
          ["Publish, TypeScript", mayPublish ? clientFirst(channel, target) : undefined],
        ]}
      />
    </div>
  );
}

function SideView({ model, channel }: ViewProps): JSX.Element {
  const isOpen = model.side.value !== undefined;
  const side = model.side.value ?? "publish";
  return (
    <aside class="side" aria-label="Publish and inspect" hidden={!isOpen}>
      <header class="channel-head">
        <BackButton model={model} label={formatName(channel)} />
        <Tabs
          label="Publish or inspect"
          panel="side-panel"
          tabs={SIDES}
          chosen={side}
          onChoose={(chosen) => model.showSide(chosen)}
        />
        <button
          type="button"
          class="bare close"
          aria-label="Close"
          onClick={() => model.side.value = undefined}
        >
          <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
            <path d="M2.5 2.5l7 7M9.5 2.5l-7 7" />
          </svg>
        </button>
      </header>
      <div id="side-panel" class="panel scrolled" role="tabpanel" aria-labelledby={`tab-${side}`}>
        {side === "row" && <Inspector row={model.selected.value} isGuarded={model.isGuarded} />}
        {/* Hidden, not removed, to keep what was typed. */}
        <div hidden={side !== "publish"}>
          {may(model.rights, "publish", channel) && !isSystemChannel(channel)
            ? <PublishForm channel={channel} />
            : <p class="empty hint">You don't have permission to publish here.</p>}
        </div>
      </div>
    </aside>
  );
}

function BackButton(
  { model, label }: { readonly model: ConsoleModel; readonly label: string },
): JSX.Element {
  return (
    <button type="button" class="bare back" onClick={() => model.back()}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d="M7.5 2 3.5 6l4 4" />
      </svg>
      <span class="ellipsis">{label}</span>
    </button>
  );
}
