import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { randomId } from "../../lib/shared/random_id.ts";
import { friendlyName } from "../person_name.ts";
import { newRoomName, roomUrl } from "../room_name.ts";
import { parseRoom, PATH } from "./room_name.ts";

const FAULT_ID = "room-fault";

/** Starts a call in a new room, or opens one by its name or link. */
export function StartForm(): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [fault, setFault] = useState<string>();
  // The buttons do nothing before the page runs.
  const [isReady, setReady] = useState(false);
  useEffect(() => setReady(true), []);

  function open(): void {
    const input = field.current;
    if (input === null) return;
    const parsed = parseRoom(input.value);
    setFault("fault" in parsed ? parsed.fault : undefined);
    if ("fault" in parsed) return input.focus();
    location.assign(roomUrl(PATH, parsed.room));
  }

  return (
    <div class="call-page">
      <h1>Call</h1>
      <p class="soft">
        Video calls from browser to browser. Weir connects the people; sound and pictures go
        directly between them, encrypted.
      </p>
      <p>
        <button
          type="button"
          disabled={!isReady}
          onClick={() =>
            location.assign(roomUrl(PATH, newRoomName(friendlyName(Math.random), randomId())))}
        >
          Start a new call
        </button>
      </p>
      <form
        class="card call-open"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) open();
        }}
      >
        <label class="field">
          <span>Room name or link</span>
          <input
            ref={field}
            autocomplete="off"
            spellcheck={false}
            aria-invalid={fault !== undefined}
            {...fault !== undefined && { "aria-describedby": FAULT_ID }}
          />
        </label>
        <button type="submit" class="quiet" disabled={!isReady}>Open</button>
        {fault !== undefined && <p id={FAULT_ID} class="outcome is-error" role="alert">{fault}</p>}
      </form>
    </div>
  );
}
