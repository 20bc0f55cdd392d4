import { signal } from "@preact/signals";
import type { TransportName, Weir } from "../../lib/client/api.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { pageClient, replaceClient } from "../page_client.ts";
import { farewellOf } from "../session.tsx";
import { ChannelFeed, type Start } from "./channel_feed.ts";
import { ChannelList, type ChannelsPage } from "./channel_list_model.ts";
import { eventOf } from "./event_text.ts";
import type { Rights } from "../rights.ts";
import type { Row } from "./timeline.ts";

/** What the server gives the island: plain JSON. */
export interface ConsoleProps {
  readonly channels: ChannelsPage;
  /** None where there is nothing that the visitor may read. */
  readonly channel?: string;
  /** Whether the URL names it. */
  readonly isChosen: boolean;
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

export type Tab = "events" | "members" | "settings";
export type Side = "publish" | "row";
/** What a phone shows of it all. */
export type Level = "channels" | "channel" | "side";

/** What the console shows. */
export class ConsoleModel {
  readonly list: ChannelList;
  readonly rights: Rights;
  readonly isGuarded: boolean;
  readonly channel = signal<string>();
  readonly feed = signal<ChannelFeed>();
  readonly tab = signal<Tab>("events");
  readonly side = signal<Side>("publish");
  readonly level = signal<Level>("channels");
  readonly selected = signal<Row>();
  /** The only one that may be used; empty: whichever works best. */
  readonly transport = signal<TransportName | "">("");
  #isRunning = false;
  #unwatch: (() => void) | undefined;

  constructor(props: ConsoleProps) {
    const { channels, channel, content, rights, isGuarded, isChosen } = props;
    this.list = new ChannelList(channels);
    this.rights = rights;
    this.isGuarded = isGuarded;
    if (channel === undefined) return;
    const start: Start = content === undefined
      ? { from: "newest" }
      : { from: "server", ...content, events: content.events.map(eventOf) };
    this.#show(channel, start);
    if (isChosen) this.level.value = "channel";
  }

  /** Goes live, until the answer is called. Only in a browser. */
  start(): () => void {
    this.#isRunning = true;
    this.#attach(pageClient());
    this.list.start();
    const goBack = () => this.#follow();
    addEventListener("popstate", goBack);
    return () => {
      this.list.stop();
      removeEventListener("popstate", goBack);
      this.#unwatch?.();
      this.feed.value?.[Symbol.dispose]();
    };
  }

  /** Shows a channel, and says so in the URL. */
  open(channel: string): void {
    if (channel !== this.channel.value || this.level.value !== "channel") {
      history.pushState(null, "", `?${new URLSearchParams({ channel })}`);
    }
    this.#follow();
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

  select(row: Row): void {
    this.selected.value = row;
    this.#showSide("row", isPhone());
  }

  showSide(side: Side): void {
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
  force(transport: TransportName | ""): void {
    this.transport.value = transport;
    this.#attach(replaceClient(transport === "" ? undefined : [transport]));
  }

  #showSide(side: Side, isLevel: boolean): void {
    this.side.value = side;
    if (!isLevel) return;
    if (this.level.value !== "side") history.pushState({ side: true }, "");
    this.level.value = "side";
  }

  /** What the URL says. */
  #follow(): void {
    const channel = new URLSearchParams(location.search).get("channel") ?? undefined;
    this.level.value = channel === undefined
      ? "channels"
      : isSide(history.state)
      ? "side"
      : "channel";
    if (channel === undefined || channel === this.channel.value) return;
    this.#show(channel, { from: "newest" });
    this.#attach(pageClient());
  }

  #show(channel: string, start: Start): void {
    this.feed.value?.[Symbol.dispose]();
    if (channel !== this.channel.value) {
      this.tab.value = "events";
      this.side.value = "publish";
    }
    this.channel.value = channel;
    this.selected.value = undefined;
    this.feed.value = new ChannelFeed(channel, start);
  }

  #attach(weir: Weir): void {
    if (!this.#isRunning) return;
    this.#unwatch?.();
    this.#unwatch = weir.state.subscribe((state) => {
      // Who is signed out asks for nothing until somebody signs in.
      if (farewellOf(state) !== undefined) this.list.stop();
      else if (state.status === "open") this.list.start();
    });
    void this.feed.value?.attach(weir);
  }
}

function isSide(state: unknown): boolean {
  return typeof state === "object" && state !== null && "side" in state;
}

function isPhone(): boolean {
  return matchMedia("(max-width: 760px)").matches;
}
