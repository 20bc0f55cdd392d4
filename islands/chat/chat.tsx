import type { JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { makeClient } from "../../lib/client/make_client.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import type { Rights } from "../rights.ts";
import { currentClient } from "../current_client.ts";
import { ChatState } from "./chat_state.ts";
import { Composer } from "./composer.tsx";
import { ServerActivity } from "./server_activity.ts";
import { ChatStorage } from "./chat_storage.ts";
import { MessageList } from "./message_list.tsx";
import { PeoplePanel } from "./people_panel.tsx";
import { parseRoom, roomUrl } from "./room_name.ts";
import { RoomPanel } from "./room_panel.tsx";

/** What the server passes to the island: plain JSON. */
export interface ChatProps {
  readonly room: string;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
  readonly rights: Rights;
}

type Panel = "rooms" | "people";

function panelId(panel: Panel): string {
  return `${panel}-panel`;
}

/** The chat page: rooms, the messages of one of them and the people in it. */
export function Chat(props: ChatProps): JSX.Element {
  const chat = useChat(props);
  const [panel, setPanel] = useState<Panel>();
  const room = chat?.current.value;
  const name = room?.name ?? props.room;
  const unread = (chat?.unread.value ?? 0) - (room?.unread.value ?? 0);
  const toggle = (which: Panel) => setPanel(panel === which ? undefined : which);
  const close = () => setPanel(undefined);
  useEffect(() => {
    if (panel !== undefined) document.getElementById(panelId(panel))?.focus();
  }, [panel]);

  function escape({ key, currentTarget }: TargetedKeyboardEvent<HTMLElement>): void {
    if (key !== "Escape" || panel === undefined) return;
    currentTarget.querySelector<HTMLElement>(`.for-${panel}`)?.focus();
    close();
  }

  function go(next: string): void {
    if (chat === undefined) return;
    if (next !== chat.current.value.name) history.pushState(null, "", roomUrl(next));
    chat.go(next);
    close();
  }

  function leave(): void {
    if (chat !== undefined) history.pushState(null, "", roomUrl(chat.leave()));
  }

  return (
    <div
      class="fill chat"
      data-panel={panel}
      onKeyDown={escape}
    >
      <RoomPanel chat={chat} room={name} go={go} leave={leave} />
      <section class="chat-room" aria-labelledby="room-title">
        <RoomBar chat={chat} room={name} unread={unread} panel={panel} toggle={toggle} />
        <div class="chat-main" onClick={close}>
          <MessageList key={name} chat={chat} room={name} />
          <Composer chat={chat} room={name} />
        </div>
      </section>
      <PeoplePanel chat={chat} />
    </div>
  );
}

interface RoomBarProps {
  readonly chat: ChatState | undefined;
  readonly room: string;
  /** Unread messages in other rooms. */
  readonly unread: number;
  /** The panel that is open over the messages. */
  readonly panel: Panel | undefined;
  readonly toggle: (panel: Panel) => void;
}

function RoomBar({ chat, room, unread, panel, toggle }: RoomBarProps): JSX.Element {
  return (
    <header class="chat-bar">
      <PanelButton panel="rooms" isOpen={panel === "rooms"} toggle={toggle}>
        Rooms
        {unread > 0 && (
          <span class="badge is-accent">
            {unread}
            <span class="hidden-visually">unread</span>
          </span>
        )}
      </PanelButton>
      <h1 id="room-title" class="ellipsis">
        <span class="soft" aria-hidden="true">#</span>
        <bdi>{room}</bdi>
      </h1>
      <PanelButton panel="people" isOpen={panel === "people"} toggle={toggle}>
        People <PeopleCount chat={chat} />
      </PanelButton>
    </header>
  );
}

interface PanelButtonProps {
  readonly panel: Panel;
  readonly isOpen: boolean;
  readonly toggle: (panel: Panel) => void;
  readonly children: JSX.Element["props"]["children"];
}

/** Opens a panel over the messages on narrow screens. */
function PanelButton({ panel, isOpen, toggle, children }: PanelButtonProps): JSX.Element {
  return (
    <button
      type="button"
      class={`quiet for-${panel}`}
      aria-expanded={isOpen}
      aria-controls={panelId(panel)}
      onClick={() => toggle(panel)}
    >
      {children}
    </button>
  );
}

function PeopleCount({ chat }: { readonly chat: ChatState | undefined }): JSX.Element | null {
  const count = chat?.people.value?.present.value.length ?? 0;
  return count === 0 ? null : <span class="number soft">{count}</span>;
}

/** Opens the visitor's chat. Returns undefined on the server and before the page runs. */
function useChat({ room, subject, rights }: ChatProps): ChatState | undefined {
  const [chat, setChat] = useState<ChatState>();
  useEffect(() => {
    const activity = new ServerActivity();
    const { fetch, WebSocket } = activity;
    const weir = makeClient(location.origin, {}, { ...PLATFORM, fetch, WebSocket });
    currentClient.value = weir;
    const storage = new ChatStorage(subject, () => localStorage);
    const opened = new ChatState({ weir, activity, storage, rights, subject, room });
    setChat(opened);
    const ending = new AbortController();
    followPage(opened, ending.signal);
    return () => {
      ending.abort();
      opened[Symbol.dispose]();
    };
  }, []);
  const title = chat === undefined
    ? undefined
    : titleOf(chat.current.value.name, chat.unread.value);
  useEffect(() => {
    if (title !== undefined) document.title = title;
  }, [title]);
  return chat;
}

function titleOf(room: string, unread: number): string {
  return `${unread === 0 ? "" : `(${unread}) `}${room} · Chat · Weir`;
}

/** Tells the chat about changes of the page, its URL, the storage and the connection. */
function followPage(chat: ChatState, signal: AbortSignal): void {
  const look = () => chat.setView({ isVisible: document.visibilityState === "visible" });
  look();
  const refresh = () => void chat.refreshDirectory();
  refresh();
  document.addEventListener("visibilitychange", look, { signal });
  document.addEventListener("visibilitychange", refresh, { signal });
  addEventListener("storage", ({ key }) => chat.onStorage(key), { signal });
  addEventListener("popstate", () => {
    const parsed = parseRoom(new URLSearchParams(location.search).get("room") ?? "");
    chat.go("room" in parsed ? parsed.room : chat.current.value.name);
  }, { signal });
  addEventListener("beforeunload", (event) => {
    if (chat.hasWaiting) event.preventDefault();
  }, { signal });
  let wasOpen = false;
  const unwatch = chat.weir.state.subscribe(({ status }) => {
    if (status === "open" && wasOpen) refresh();
    wasOpen ||= status === "open";
  });
  signal.addEventListener("abort", unwatch);
}
