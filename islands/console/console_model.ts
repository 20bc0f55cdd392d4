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

/** How long an event is looked at before the URL names it, in ms. Met: browsers' own limits. */
const URL_DELAY_MS = 200;

/** What the server gives the island: plain JSON. */
export interface ConsoleProps {
  readonly channels: ChannelsPage;
  /** None where there is nothing that the visitor may read. */
  readonly channel?: string;
  /** Whether the URL names it. */
  readonly isChosen: boolean;
  /** The offset of the event that the URL names. */
  readonly event?: string | undefined;
  /** What the channel has already; none where it may not be read. */
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
/** What a phone shows of it all. */
export type PhoneLevel = "channels" | "channel" | "side";

/** What the console shows. */
export class ConsoleModel {
  readonly list: ChannelListModel;
  readonly rights: Rights;
  readonly isGuarded: boolean;
  readonly channel = signal<string>();
  readonly feed = signal<ChannelFeed>();
  readonly tab = signal<ChannelTab>("events");
  readonly side = signal<SideTab>("publish");
  readonly level = signal<PhoneLevel>("channels");
  readonly selected = signal<TimelineRow>();
  /** The only one that may be used; empty: whichever works best. */
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

  /** Goes live, until the answer is called. Only in a browser. */
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

  /** Shows a channel, and says so in the URL. */
  open(channel: string): void {
    if (channel !== this.channel.value || this.level.value !== "channel") {
      clearTimeout(this.#urlTimer);
      history.pushState(null, "", linkTo(channel));
    }
    this.#followUrl();
  }

  /** Where a phone goes from here: to the list, or from what is beside the channel to it. */
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

  /** Reads the channel behind a cursor, `earliest` or `latest`, as a subscriber would. */
  readFrom(after: string): void {
    const channel = this.channel.value;
    if (channel === undefined) return;
    this.#show(channel, { from: "cursor", after });
    this.#attach(pageClient());
  }

  /** The channel anew, with all that it has. */
  reload(): void {
    const channel = this.channel.value;
    if (channel === undefined) return;
    this.#show(channel, { from: "newest" });
    this.#attach(pageClient());
    void this.list.refresh();
  }

  /** Allows one transport only, or all. */
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

  /** What the URL says. */
  #followUrl(): void {
    const asked = new URLSearchParams(location.search);
    const channel = asked.get("channel") ?? undefined;
    this.level.value = channel === undefined
      ? "channels"
      : isSide(history.state)
      ? "side"
      : "channel";
    if (channel === undefined || channel === this.channel.value) return;
    this.#show(channel, { from: "newest" });
    this.#selectOffset(asked.get("event") ?? "");
    this.#attach(pageClient());
  }

  /** Looks at the event of an offset, which is read if it is there. */
  #selectOffset(offset: string): void {
    if (parsePosition(offset) === undefined) return;
    this.selected.value = { kind: "unread", key: offset };
    this.side.value = "row";
  }

  /** What was chosen before it was read is looked at again. */
  #updateSelected(): void {
    const [row, place] = [this.selected.peek(), parsePosition(this.selected.peek()?.key ?? "")];
    if (row?.kind !== "unread" || place === undefined) return;
    const found = this.feed.peek()?.timeline.rowAt(place);
    if (found !== undefined && found.kind !== "unread") this.selected.value = found;
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
      this.side.value = "publish";
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
      // Who is signed out asks for nothing until somebody signs in.
      if (signedOutReason(state) !== undefined) this.list.stop();
      else if (state.status === "open") this.list.start();
    });
    void this.feed.value?.attach(weir);
  }
}

/** The page of a channel, and of one event of it. */
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
