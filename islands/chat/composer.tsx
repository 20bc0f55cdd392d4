import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ConnectionState } from "../connection_state.tsx";
import { formatCount } from "../format.ts";
import { useObservable } from "../use_observable.ts";
import type { ChatState } from "./chat_state.ts";
import { MAX_TEXT } from "./message.ts";
import { NameForm, NameLine } from "../name_form.tsx";
import type { ServerActivity } from "./server_activity.ts";
import { typingText } from "./typing.ts";

interface ComposerProps {
  /** Undefined until the page runs. */
  readonly chat: ChatState | undefined;
  readonly room: string;
}

const FAULT_ID = "message-fault";
/** How often the time since the last activity is updated. */
const TICK_MS = 1_000;

/** The form for a message, who is typing, and the state of the connection. */
export function Composer({ chat, room }: ComposerProps): JSX.Element {
  const typists = chat?.current.value.typists.names.value ?? [];
  const mayWrite = chat?.may("publish", room) ?? true;
  const isReadable = chat?.may("subscribe", room) ?? true;
  const isIdle = useObservable(chat?.weir.state)?.status === "idle";
  return (
    <footer class="chat-composer">
      <p class="chat-typing ellipsis">{typingText(typists)}</p>
      {mayWrite
        ? <MessageForm key={room} chat={chat} room={room} />
        : <p class="card empty">You don't have permission to post in this room.</p>}
      {mayWrite && !isReadable && (
        <p class="outcome">You can post in this room, but you don't have permission to read it.</p>
      )}
      <div class="chat-status">
        <ConnectionState weir={chat?.weir} />
        {!isIdle && <LastActivity activity={chat?.activity} />}
        <ConnectionHint chat={chat} />
        {mayWrite && chat !== undefined && <NameLine visitor={chat} />}
      </div>
    </footer>
  );
}

/** Says what happens to messages while there is no connection. */
function ConnectionHint({ chat }: { readonly chat: ChatState | undefined }): JSX.Element | null {
  const state = useObservable(chat?.weir.state);
  switch (state?.status) {
    case "offline":
    case "reconnecting":
      return <span class="chat-wait soft">Messages are sent when the connection is back.</span>;
    case "closed":
      return state.error === undefined ? null : <span class="is-error">{state.error.detail}</span>;
    default:
      return null;
  }
}

/** Shows how long ago the server last sent something. It sends at least a heartbeat. */
function LastActivity(
  { activity }: { readonly activity: ServerActivity | undefined },
): JSX.Element | null {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  if (activity?.lastAt === undefined) return null;
  const seconds = Math.max(0, Math.floor((now - activity.lastAt) / 1_000));
  return (
    <span class="chat-activity soft number">
      {seconds === 0 ? "last contact just now" : `last contact ${seconds} s ago`}
    </span>
  );
}

function MessageForm({ chat, room }: ComposerProps): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  const [fault, setFault] = useState<string>();

  useEffect(() => {
    if (chat === undefined || field.current === null) return;
    field.current.value = chat.current.value.draft;
    // On a phone the keyboard would cover half of the page.
    if (matchMedia("(pointer: fine)").matches) field.current.focus();
  }, [chat, room]);

  function send(): void {
    const input = field.current;
    if (chat === undefined || input === null) return;
    input.focus();
    const text = input.value.trim();
    const fault = faultOf(text);
    setFault(fault);
    if (text === "" || fault !== undefined) return;
    if (!chat.isNameChosen.value) chat.rename(chat.name.value);
    chat.send(text);
    input.value = "";
    chat.current.value.draft = "";
  }

  function typed(text: string): void {
    if (chat === undefined) return;
    chat.current.value.draft = text;
    if (fault !== undefined) setFault(faultOf(text.trim()));
    if (text.trim() !== "") chat.onTyped();
  }

  return (
    <>
      {chat !== undefined && !chat.isNameChosen.value && <NameForm visitor={chat} />}
      {fault !== undefined && <p id={FAULT_ID} class="outcome is-error" role="alert">{fault}</p>}
      <MessageField
        field={field}
        room={room}
        isFaulty={fault !== undefined}
        isReady={chat !== undefined}
        onType={typed}
        onSend={send}
      />
    </>
  );
}

interface MessageFieldProps {
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly room: string;
  readonly isFaulty: boolean;
  readonly isReady: boolean;
  readonly onType: (text: string) => void;
  readonly onSend: () => void;
}

function MessageField(
  { field, room, isFaulty, isReady, onType, onSend }: MessageFieldProps,
): JSX.Element {
  return (
    <form
      class="chat-form"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        aria-label={`Message to ${room}`}
        placeholder={`Message to ${room}`}
        aria-invalid={isFaulty}
        {...isFaulty && { "aria-describedby": FAULT_ID }}
        enterkeyhint="send"
        onInput={({ currentTarget }) => onType(currentTarget.value)}
        onKeyDown={(event) => {
          // Input methods use Enter to choose a character.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          onSend();
        }}
      />
      <button type="submit" disabled={!isReady}>Send</button>
    </form>
  );
}

function faultOf(text: string): string | undefined {
  if (text.length <= MAX_TEXT) return undefined;
  return `Messages can have at most ${formatCount(MAX_TEXT)} characters. This one has ${
    formatCount(text.length)
  }.`;
}
