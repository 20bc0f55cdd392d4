import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { formatCount } from "../format.ts";
import { useObservable } from "../use_observable.ts";
import type { ChatState } from "./chat_state.ts";
import { firstUnread } from "./lines.ts";
import { MessageView, RowView } from "./message_row.tsx";
import type { OutgoingMessage } from "./outgoing.ts";
import type { EarlierState, Room } from "./room.ts";
import { rowsOf } from "./rows.ts";
import { useScroll } from "./use_scroll.ts";

interface MessageListProps {
  /** Undefined until the page runs. */
  readonly chat: ChatState | undefined;
  readonly room: string;
}

/** Shows the messages of the room and those that are being sent. */
export function MessageList({ chat, room: name }: MessageListProps): JSX.Element {
  const room = chat?.current.value;
  if (chat === undefined || room === undefined) {
    return (
      <div class="chat-scroll" tabIndex={0} role="region" aria-label={`Messages in ${name}`}>
        <p class="chat-start">Loading messages…</p>
      </div>
    );
  }
  return <Messages chat={chat} room={room} />;
}

function Messages({ chat, room }: { readonly chat: ChatState; readonly room: Room }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const lines = room.lines.value;
  const sending = room.outgoing.messages.value;
  const newAfter = room.newAfter.value;
  const newLine = newAfter === undefined ? undefined : firstUnread(lines, newAfter);
  const past = room.earlier.value;
  const isOpen = useObservable(chat.weir.state)?.status === "open";
  const { isAtEnd, toEnd } = useScroll(box, {
    version: [lines, sending, past],
    isReady: past.status !== "loading" || lines.length > 0,
    mark: newLine?.offset,
    moved: (isAtEnd) => chat.setView({ isAtEnd }),
    nearTop: () => {
      // After a failure the visitor tries again with a button.
      if (room.earlier.value.status === "more") void room.loadEarlier();
    },
  });
  const unread = room.unread.value;
  const problem = room.problem.value;
  return (
    <div class="chat-messages">
      <div
        ref={box}
        class="chat-scroll"
        tabIndex={0}
        role="region"
        aria-label={`Messages in ${room.name}`}
      >
        {problem === undefined && <Start past={past} room={room} isEmpty={lines.length === 0} />}
        <ol class="list">
          {rowsOf(lines, newLine, dayOf).map((row) => <RowView key={row.line.offset} row={row} />)}
          {sending.map((one) => (
            <SendingView key={one.id} sending={one} room={room} isOpen={isOpen} />
          ))}
        </ol>
        {problem !== undefined && <p class="card problem chat-problem">{problem}</p>}
      </div>
      {!isAtEnd && (
        <button type="button" class="newest" onClick={toEnd}>
          {unread === 0
            ? "Newest messages"
            : unread === 1
            ? "1 new message"
            : `${formatCount(unread)} new messages`}
        </button>
      )}
      <Announcer room={room} />
    </div>
  );
}

interface StartProps {
  readonly past: EarlierState;
  readonly room: Room;
  readonly isEmpty: boolean;
}

/** Says whether there are messages before the first line. */
function Start({ past, room, isEmpty }: StartProps): JSX.Element {
  switch (past.status) {
    case "loading":
    case "more":
      return <p class="chat-start">Loading {isEmpty ? "" : "earlier "}messages…</p>;
    case "failed":
      return (
        <p class="chat-start">
          Earlier messages failed to load: {past.reason}{" "}
          <button type="button" class="quiet" onClick={() => void room.loadEarlier()}>
            Try again
          </button>
        </p>
      );
    case "begins":
      return (
        <div class="chat-start is-first">
          <p>
            This is the start of <strong>{room.name}</strong>.
          </p>
          {isEmpty && <p class="soft">No messages yet.</p>}
        </div>
      );
    case "forgotten":
      return <p class="chat-start">Earlier messages are no longer stored.</p>;
  }
}

interface SendingViewProps {
  readonly sending: OutgoingMessage;
  readonly room: Room;
  /** Whether there is a connection. */
  readonly isOpen: boolean;
}

/** A message of the visitor that is not stored yet. */
function SendingView({ sending, room, isOpen }: SendingViewProps): JSX.Element {
  const { id, status, reason } = sending;
  const { name, text, at = "" } = sending.message;
  return (
    <li class="chat-row" data-key={id} data-kind="sending" data-status={status}>
      <MessageView message={{ name, text, time: at, isMine: true }} isFirst>
        {status === "refused"
          ? (
            <div class="chat-note is-error" role="alert">
              <p>Not sent: {reason}</p>
              <button type="button" class="quiet" onClick={() => room.outgoing.retry(id)}>
                Try again
              </button>
              <button type="button" class="quiet" onClick={() => room.outgoing.drop(id)}>
                Discard
              </button>
            </div>
          )
          : (
            <p class={`chat-note${isOpen ? " is-late" : ""}`}>
              {status === "stored" ? "Sent" : isOpen ? "Sending…" : "Waiting for a connection"}
            </p>
          )}
      </MessageView>
    </li>
  );
}

/** Announces new messages to screen readers, each once. */
function Announcer({ room }: { readonly room: Room }): JSX.Element {
  return (
    <div class="hidden-visually" role="log" aria-label="New messages">
      {room.announced.value.map(({ offset, name, text }) => (
        <p key={offset}>{name}: {text.slice(0, 300)}</p>
      ))}
    </div>
  );
}

function dayOf(time: string): string {
  return new Date(time).toDateString();
}
