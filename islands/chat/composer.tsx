import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ConnectionState } from "../connection_state.tsx";
import { formatCount } from "../format.ts";
import { useObservable } from "../observable.ts";
import type { ChatState } from "./chat_state.ts";
import { LastActivity } from "./last_activity.tsx";
import { MAX_TEXT } from "./message.ts";
import { NameForm, NameLine } from "./name_form.tsx";
import { typingText } from "./typing.ts";

interface ComposerProps {
  /** None until the page runs. */
  readonly chat: ChatState | undefined;
  readonly room: string;
}

const FAULT_ID = "message-fault";

/** Where the visitor writes; who else does; and what the connection does. */
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
        {!isIdle && <LastActivity heard={chat?.activity} />}
        <ConnectionHint chat={chat} />
        {mayWrite && chat !== undefined && <NameLine chat={chat} />}
      </div>
    </footer>
  );
}

/** What becomes of messages while there is no connection. */
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

function MessageForm({ chat, room }: ComposerProps): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const [fault, setFault] = useState<string>();

  useEffect(() => {
    if (chat === undefined || field.current === null) return;
    field.current.value = chat.current.value.draft;
    // A phone would cover half of the page with its keyboard.
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
      {chat !== undefined && !chat.isNameChosen.value && <NameForm chat={chat} />}
      {fault !== undefined && <p id={FAULT_ID} class="outcome is-error" role="alert">{fault}</p>}
      <form
        ref={form}
        class="chat-form"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          ref={field}
          rows={1}
          aria-label={`Message to ${room}`}
          placeholder={`Message to ${room}`}
          aria-invalid={fault !== undefined}
          {...fault !== undefined && { "aria-describedby": FAULT_ID }}
          enterkeyhint="send"
          onInput={({ currentTarget }) => typed(currentTarget.value)}
          onKeyDown={(event) => {
            // While letters are being composed Enter chooses one of them.
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        <button type="submit" disabled={chat === undefined}>Send</button>
      </form>
    </>
  );
}

function faultOf(text: string): string | undefined {
  if (text.length <= MAX_TEXT) return undefined;
  return `Messages can have at most ${formatCount(MAX_TEXT)} characters. This one has ${
    formatCount(text.length)
  }.`;
}
