import type { JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { connect } from "../../lib/client/client.ts";
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

/** What the server gives the island: plain JSON. */
export interface ChatProps {
  readonly room: string;
  /** Who is signed in. */
  readonly subject?: string | undefined;
  readonly rights: Rights;
}

type Panel = "rooms" | "people";

function panelId(panel: Panel): string {
  return `${panel}-panel`;
}

/** Rooms, what is said in one of them, and who is there. */
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
            <bdi>{name}</bdi>
          </h1>
          <PanelButton panel="people" isOpen={panel === "people"} toggle={toggle}>
            People <PeopleCount chat={chat} />
          </PanelButton>
        </header>
        <div class="chat-main" onClick={close}>
          <MessageList key={name} chat={chat} room={name} />
          <Composer chat={chat} room={name} />
        </div>
      </section>
      <PeoplePanel chat={chat} />
    </div>
  );
}

interface PanelButtonProps {
  readonly panel: Panel;
  readonly isOpen: boolean;
  readonly toggle: (panel: Panel) => void;
  readonly children: JSX.Element["props"]["children"];
}

/** Opens a panel where there is no room to show it beside the messages. */
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

/** The chat of whoever looks at the page; none on the server. */
function useChat({ room, subject, rights }: ChatProps): ChatState | undefined {
  const [chat, setChat] = useState<ChatState>();
  useEffect(() => {
    const heard = new ServerActivity();
    const { fetch, WebSocket } = heard;
    // What it is told of presence shows as people who aren't there; the rest ends nothing.
    const weir = connect(location.origin, {}, { ...PLATFORM, fetch, WebSocket });
    currentClient.value = weir;
    const memory = new ChatStorage(subject, () => localStorage);
    const opened = new ChatState({ weir, activity: heard, storage: memory, rights, subject, room });
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

/** What happens to the page and around it. */
function followPage(chat: ChatState, signal: AbortSignal): void {
  const look = () => chat.setView({ isVisible: document.visibilityState === "visible" });
  look();
  const refresh = () => void chat.refreshDirectory();
  refresh();
  document.addEventListener("visibilitychange", look, { signal });
  document.addEventListener("visibilitychange", refresh, { signal });
  addEventListener("storage", ({ key }) => chat.onStorage(key), { signal });
  addEventListener("popstate", () => {
    const asked = parseRoom(new URLSearchParams(location.search).get("room") ?? "");
    chat.go("room" in asked ? asked.room : chat.current.value.name);
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
