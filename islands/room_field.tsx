import type { InputHTMLAttributes, JSX, RefObject } from "preact";
import { useRef, useState } from "preact/hooks";
import type { ParsedRoom } from "./room_name.ts";

const FAULT_ID = "room-fault";

interface RoomField {
  readonly ref: RefObject<HTMLInputElement | null>;
  /** Attributes of the field. */
  readonly attributes: InputHTMLAttributes;
  /** Says what is wrong with the text. */
  readonly fault: JSX.Element | undefined;
  /** Returns the room. Undefined if the text is no room's name: then it says so in `fault`. */
  read(): string | undefined;
}

/** Lets a form ask for the name of a room. A page has at most one. */
export function useRoomField(parse: (text: string) => ParsedRoom): RoomField {
  const ref = useRef<HTMLInputElement>(null);
  const [fault, setFault] = useState<string>();
  return {
    ref,
    attributes: {
      autocomplete: "off",
      spellcheck: false,
      "aria-invalid": fault !== undefined,
      ...fault !== undefined && { "aria-describedby": FAULT_ID },
    },
    fault: fault === undefined
      ? undefined
      : <p id={FAULT_ID} class="outcome is-error" role="alert">{fault}</p>,
    read() {
      if (ref.current === null) return undefined;
      const parsed = parse(ref.current.value);
      setFault("fault" in parsed ? parsed.fault : undefined);
      if ("room" in parsed) return parsed.room;
      ref.current.focus();
      return undefined;
    },
  };
}
