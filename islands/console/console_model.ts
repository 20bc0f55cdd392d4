import { signal } from "@preact/signals";
import type { TransportName, Weir } from "../../lib/client/api.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { formatName } from "../format.ts";
import { pageClient, replaceClient } from "../page_client.ts";
import { signedOutReason } from "../sign_in_notice.tsx";
import { ChannelFeed, type FeedStart } from "./channel_feed.ts";
import { ChannelListModel, type ChannelsPage } from "./channel_list_model.ts";
import { eventOf } from "./event_text.ts";
import type { Rights } from "../rights.ts";
import { parsePosition, type TimelineRow } from "./timeline.ts";

/** Delay before the URL names a selected event. Browsers limit how often a URL may change. */
const URL_DELAY_MS = 200;

/** What the server passes to the island: plain JSON. */
export interface ConsoleProps {
  readonly channels: ChannelsPage;
  /** Undefined if the visitor cannot read any channel. */
  readonly channel?: string;
  /** Whether the URL names the channel. */
  readonly isChosen: boolean;
  /** The offset of the event that the URL names. */
  readonly event?: string | undefined;
  /** The channel's newest events; undefined if the visitor cannot read it. */
  readonly content?: {
    readonly first: string | null;
    readonly events: readonly WireEvent[];
    readonly cursor: string;
  };
  readonly rights: Rights;
  /** Whether requests need a credential. */
  readonly isGuarded: boolean;
}

export type ChannelTab = "events" | "members" | "settings";
export type SideTab = "publish" | "row";
/** The column that a phone shows. */
type PhoneLevel = "channels" | "channel" | "side";

/** The state of the console page. */
export class ConsoleModel {
  readonly list: ChannelListModel;
  readonly rights: Rights;
  readonly isGuarded: boolean;
  readonly channel = signal<string>();
  readonly feed = signal<ChannelFeed>();
  readonly tab = signal<ChannelTab>("events");
  /** What the side panel shows; undefined while it is closed. */
  readonly side = signal<SideTab>();
  readonly level = signal<PhoneLevel>("channels");
  readonly selected = signal<TimelineRow>();
  /** The only allowed transport; empty: all of them. */
  readonly transport = signal<TransportName | "">("");
  #isRunning = false;
  #unwatchState: (() => void) | undefined;
  #unwatchFeed: (() => void) | undefined;
  #urlTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(props: ConsoleProps) {
    const { channels, channel, content, rights, isGuarded, isChosen, event } = props;
    this.list = new ChannelListModel(channels);
    this.rights = rights;
    this.isGuarded = isGuarded;
    if (channel === undefined) return;
    const start: FeedStart = content === undefined
      ? { from: "newest" }
      : { from: "server", ...content, events: content.events.map(eventOf) };
    this.#show(channel, start);
    if (isChosen) this.level.value = "channel";
    if (event !== undefined) this.#selectOffset(event);
  }

  /** Starts reading and polling. Returns a function that stops both. Only in a browser. */
  start(): () => void {
    this.#isRunning = true;
    this.#unwatchFeed = this.feed.value?.version.subscribe(() => this.#updateSelected());
    this.#attach(pageClient());
    if (this.selected.value !== undefined && isPhone()) this.level.value = "side";
    const unwatch = this.channel.subscribe((channel) => {
      if (channel !== undefined) document.title = `${formatName(channel)} · Console · Weir`;
    });
    this.list.start();
    const goBack = () => this.#followUrl();
    addEventListener("popstate", goBack);
    return () => {
      this.list.stop();
      unwatch();
      clearTimeout(this.#urlTimer);
      removeEventListener("popstate", goBack);
      this.#unwatchState?.();
      this.#unwatchFeed?.();
      this.feed.value?.[Symbol.dispose]();
    };
  }

  /** Shows a channel and puts it into the URL. */
  open(channel: string): void {
    if (channel !== this.channel.value || this.level.value !== "channel") {
      clearTimeout(this.#urlTimer);
      history.pushState(null, "", linkTo(channel));
    }
    this.#followUrl();
  }

  /** Goes back one column on a phone: from the side panel to the channel, or to the list. */
  back(): void {
    if (this.level.value === "side") {
      if (isSide(history.state)) history.back();
      else this.level.value = "channel";
    } else {
      history.pushState(null, "", location.pathname);
      this.level.value = "channels";
    }
  }

  select(row: TimelineRow): void {
    this.selected.value = row;
    this.#showSide("row", isPhone());
    clearTimeout(this.#urlTimer);
    this.#urlTimer = setTimeout(
      () => history.replaceState(history.state, "", this.#url()),
      URL_DELAY_MS,
    );
  }

  showSide(side: SideTab): void {
    this.#showSide(side, isPhone());
  }

  /** Reads the channel after a cursor, `earliest` or `latest`, as a subscriber would. */
  readFrom(after: string): void {
    const channel = this.channel.value;
    if (channel === undefined) return;
    this.#show(channel, { from: "cursor", after });
    this.#attach(pageClient());
  }

  /** Reads the channel again with all its events. */
  reload(): void {
    const channel = this.channel.value;
    if (channel === undefined) return;
    this.#show(channel, { from: "newest" });
    this.#attach(pageClient());
    void this.list.refresh();
  }

  /** Allows only one transport, or all. */
  useTransport(transport: TransportName | ""): void {
    this.transport.value = transport;
    this.#attach(replaceClient(transport === "" ? undefined : [transport]));
  }

  #showSide(side: SideTab, isLevel: boolean): void {
    this.side.value = side;
    if (!isLevel) return;
    if (this.level.value !== "side") history.pushState({ side: true }, "");
    this.level.value = "side";
  }

  /** Shows what the URL names. */
  #followUrl(): void {
    const query = new URLSearchParams(location.search);
    const channel = query.get("channel") ?? undefined;
    this.level.value = channel === undefined
      ? "channels"
      : isSide(history.state)
      ? "side"
      : "channel";
    if (channel !== undefined && channel !== this.channel.value) {
      this.#show(channel, { from: "newest" });
      this.#selectOffset(query.get("event") ?? "");
      this.#attach(pageClient());
    }
    if (this.side.value === undefined && this.level.value === "side") this.level.value = "channel";
  }

  /** Selects the event with an offset before it is read. */
  #selectOffset(offset: string): void {
    if (parsePosition(offset) === undefined) return;
    this.selected.value = { kind: "unloaded", key: offset };
    this.side.value = "row";
  }

  /** Replaces a selection that was not read yet once its event is known. */
  #updateSelected(): void {
    const [row, position] = [this.selected.peek(), parsePosition(this.selected.peek()?.key ?? "")];
    if (row?.kind !== "unloaded" || position === undefined) return;
    const found = this.feed.peek()?.timeline.rowAt(position);
    if (found !== undefined && found.kind !== "unloaded") this.selected.value = found;
  }

  #url(): string {
    const { channel, selected } = this;
    return linkTo(channel.value ?? "", selected.value?.key);
  }

  #show(channel: string, start: FeedStart): void {
    this.feed.value?.[Symbol.dispose]();
    this.#unwatchFeed?.();
    if (channel !== this.channel.value) {
      this.tab.value = "events";
      this.side.value = undefined;
    }
    this.channel.value = channel;
    this.selected.value = undefined;
    const feed = new ChannelFeed(channel, start);
    this.feed.value = feed;
    if (this.#isRunning) this.#unwatchFeed = feed.version.subscribe(() => this.#updateSelected());
  }

  #attach(weir: Weir): void {
    if (!this.#isRunning) return;
    this.#unwatchState?.();
    this.#unwatchState = weir.state.subscribe((state) => {
      // A visitor who was signed out polls nothing until the next sign-in.
      if (signedOutReason(state) !== undefined) this.list.stop();
      else if (state.status === "open") this.list.start();
    });
    void this.feed.value?.attach(weir);
  }
}

/** Returns the URL of a channel, or of one of its events. */
export function linkTo(channel: string, offset = ""): string {
  const event = parsePosition(offset) === undefined ? {} : { event: offset };
  return `?${new URLSearchParams({ channel, ...event })}`;
}

function isSide(state: unknown): boolean {
  return typeof state === "object" && state !== null && "side" in state;
}

function isPhone(): boolean {
  return matchMedia("(max-width: 760px)").matches;
}
