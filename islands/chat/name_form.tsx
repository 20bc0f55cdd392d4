import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ChatState } from "./chat_state.ts";
import { MAX_NAME, parseName } from "./message.ts";

interface NameFormProps {
  readonly chat: ChatState;
  /** Called when the visitor has saved the name. */
  readonly done?: () => void;
}

/** Asks for the visitor's name and suggests one. */
export function NameForm({ chat, done }: NameFormProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);

  function choose(): void {
    chat.rename(parseName(field.current?.value ?? "") ?? chat.name.value);
    done?.();
  }

  return (
    <form
      class="chat-name-form"
      onSubmit={(event) => {
        event.preventDefault();
        choose();
      }}
    >
      <label class="field">
        <span>Your name</span>
        <input
          ref={field}
          maxLength={MAX_NAME}
          autocomplete="nickname"
          spellcheck={false}
          defaultValue={chat.name.value}
          onChange={choose}
        />
      </label>
      <button type="submit" class="quiet">Save name</button>
    </form>
  );
}

/** Shows the visitor's name and lets them change it. */
export function NameLine({ chat }: { readonly chat: ChatState }): JSX.Element | null {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !isOpen) button.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (!chat.isNameChosen.value) return null;
  if (isOpen) {
    return (
      <div
        class="end"
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          setOpen(false);
        }}
      >
        <NameForm chat={chat} done={() => setOpen(false)} />
      </div>
    );
  }
  return (
    <span class="chat-as end">
      <span class="ellipsis">
        <span class="chat-you">You are</span> <bdi>{chat.name.value}</bdi>
      </span>
      {chat.author.subject === undefined && (
        <button
          ref={button}
          type="button"
          class="bare"
          onClick={() => setOpen(true)}
        >
          Change
        </button>
      )}
    </span>
  );
}
