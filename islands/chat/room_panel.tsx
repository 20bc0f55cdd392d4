import type { JSX } from "preact";
import { useRoomField } from "../room_field.tsx";
import type { ChatState } from "./chat_state.ts";
import type { Room } from "./room.ts";
import { FIRST_ROOM, parseRoom, roomUrl } from "./room_name.ts";

interface RoomPanelProps {
  /** Undefined until the page runs. */
  readonly chat: ChatState | undefined;
  /** The room on the page. */
  readonly room: string;
  readonly go: (room: string) => void;
  /** Stops following the room on the page. */
  readonly leave: () => void;
}

/** Lists the rooms that the visitor follows and others, and opens any room by its name. */
export function RoomPanel({ chat, room, go, leave }: RoomPanelProps): JSX.Element {
  const visited = chat?.rooms.value ?? [];
  const directory = chat?.directory.value;
  const known = directory !== undefined && "rooms" in directory ? directory.rooms : [];
  const names = new Set(visited.map(({ name }) => name));
  const others = known.filter((name) => !names.has(name));
  return (
    <aside id="rooms-panel" class="chat-panel is-rooms" tabIndex={-1} aria-labelledby="rooms-title">
      <h2 id="rooms-title">Rooms</h2>
      <nav aria-label="Rooms you follow">
        <ul class="list">
          {visited.length === 0 && <RoomLink name={room} isCurrent go={go} />}
          {visited.map((one) => {
            const isCurrent = one.name === room;
            // The page always shows a room: without any other it shows the first one.
            const isLast = visited.length === 1 && room === FIRST_ROOM;
            return (
              <RoomLink key={one.name} name={one.name} room={one} isCurrent={isCurrent} go={go}>
                {isCurrent && !isLast && <StopFollowing name={room} stop={leave} />}
              </RoomLink>
            );
          })}
        </ul>
      </nav>
      {others.length > 0 && (
        <nav aria-labelledby="others-title">
          <h3 id="others-title">Other rooms</h3>
          <ul class="list">
            {others.map((name) => <RoomLink key={name} name={name} go={go} />)}
          </ul>
          {directory !== undefined && "isWhole" in directory && !directory.isWhole && (
            <p class="outcome">There are more rooms. Open them by name.</p>
          )}
        </nav>
      )}
      {directory !== undefined && "problem" in directory && (
        <p class="outcome">The list of rooms failed to load: {directory.problem}</p>
      )}
      <GoTo isReady={chat !== undefined} go={go} />
    </aside>
  );
}

interface RoomLinkProps {
  readonly name: string;
  /** Set if the visitor follows the room. */
  readonly room?: Room;
  readonly isCurrent?: boolean;
  readonly go: (room: string) => void;
  /** Shown after the link. */
  readonly children?: JSX.Element | false;
}

function RoomLink({ name, room, isCurrent, go, children }: RoomLinkProps): JSX.Element {
  const unread = room?.unread.value ?? 0;
  const isMore = room?.earlier.value.status === "more" && room.lines.value.length === unread;
  return (
    <li class="chat-entry">
      <a
        class="chat-link"
        href={roomUrl(name)}
        {...isCurrent && { "aria-current": "page" }}
        onClick={(event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
          event.preventDefault();
          go(name);
        }}
      >
        <span class="soft" aria-hidden="true">#</span>
        <bdi class="ellipsis">{name}</bdi>
        {unread > 0 && (
          <span class="badge is-accent">
            {unread}
            {isMore && "+"}
            <span class="hidden-visually">unread</span>
          </span>
        )}
      </a>
      {children}
    </li>
  );
}

interface StopFollowingProps {
  readonly name: string;
  readonly stop: () => void;
}

function StopFollowing({ name, stop }: StopFollowingProps): JSX.Element {
  const words = `Stop following ${name}`;
  return (
    <button type="button" class="bare chat-stop" aria-label={words} title={words} onClick={stop}>
      <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
        <path d="M2 2l8 8M10 2l-8 8" stroke="currentColor" stroke-width="1.6" />
      </svg>
    </button>
  );
}

/** Opens the room with any name. Its first message creates it. */
function GoTo(
  { isReady, go }: { readonly isReady: boolean; readonly go: (room: string) => void },
): JSX.Element {
  const field = useRoomField(parseRoom);
  return (
    <form
      class="chat-go"
      onSubmit={(event) => {
        event.preventDefault();
        const opened = field.read();
        if (opened === undefined || field.ref.current === null) return;
        field.ref.current.value = "";
        go(opened);
      }}
    >
      <label class="field">
        <span>Open or create a room</span>
        <input ref={field.ref} {...field.attributes} />
      </label>
      <button type="submit" class="quiet" disabled={!isReady}>Go</button>
      {field.fault}
    </form>
  );
}
