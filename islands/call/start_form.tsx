import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { randomId } from "../../lib/shared/random_id.ts";
import { friendlyName } from "../person_name.ts";
import { useRoomField } from "../room_field.tsx";
import { newRoomName, roomUrl } from "../room_name.ts";
import { parseRoom, PATH } from "./room_name.ts";

/** Starts a call in a new room, or opens one by its name or link. */
export function StartForm(): JSX.Element {
  const field = useRoomField(parseRoom);
  // The buttons do nothing before the page runs.
  const [isReady, setReady] = useState(false);
  useEffect(() => setReady(true), []);

  function open(): void {
    const room = field.read();
    if (room !== undefined) location.assign(roomUrl(PATH, room));
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
          <input ref={field.ref} {...field.attributes} />
        </label>
        <button type="submit" class="quiet" disabled={!isReady}>Open</button>
        {field.fault}
      </form>
    </div>
  );
}
