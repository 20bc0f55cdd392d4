import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { MAX_NAME, parseName } from "./person_name.ts";

/** A visitor who can choose a name. */
interface NamedVisitor {
  readonly name: ReadonlySignal<string>;
  /** False while the name is only a suggestion. */
  readonly isNameChosen: ReadonlySignal<boolean>;
  /** False if the name is the subject of the sign-in token. */
  readonly mayRename: boolean;
  rename(name: string): void;
}

interface NameFormProps {
  readonly visitor: NamedVisitor;
  /** Called when the visitor has saved the name. */
  readonly done?: () => void;
}

/** Asks for the visitor's name and suggests one. */
export function NameForm({ visitor, done }: NameFormProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);

  function choose(): void {
    visitor.rename(parseName(field.current?.value ?? "") ?? visitor.name.value);
    done?.();
  }

  return (
    <form
      class="name-form"
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
          defaultValue={visitor.name.value}
          onChange={choose}
        />
      </label>
      <button type="submit" class="quiet">Save name</button>
    </form>
  );
}

/** Shows the visitor's name and lets them change it. */
export function NameLine(
  { visitor }: { readonly visitor: NamedVisitor },
): JSX.Element | null {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !isOpen) button.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (!visitor.isNameChosen.value) return null;
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
        <NameForm visitor={visitor} done={() => setOpen(false)} />
      </div>
    );
  }
  return (
    <span class="name-line end">
      <span class="ellipsis">
        <span class="name-you">You are</span> <bdi>{visitor.name.value}</bdi>
      </span>
      {visitor.mayRename && (
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
