import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { randomId } from "../lib/shared/random_id.ts";
import { CopyButton } from "./copy_button.tsx";
import { friendlyName } from "./person_name.ts";
import { useRoomField } from "./room_field.tsx";
import { newRoomName, type ParsedRoom, roomUrl } from "./room_name.ts";

interface RoomHeadProps {
  /** The page's path. */
  readonly path: string;
  readonly room: string;
  readonly parse: (text: string) => ParsedRoom;
}

/** Shows the room's name, copies the link to it, and opens other rooms. */
export function RoomHead({ path, room, parse }: RoomHeadProps): JSX.Element {
  const [link, setLink] = useState<string>();
  const field = useRoomField(parse);
  useEffect(() => setLink(new URL(roomUrl(path, room), location.origin).href), [path, room]);
  const isReady = link !== undefined;
  return (
    <div class="room-head">
      <p class="room-title">
        <span class="soft" aria-hidden="true">#</span>
        <strong class="ellipsis">
          <bdi>{room}</bdi>
        </strong>
        {isReady && <CopyButton text={link} label="Copy link" what="to this room" />}
      </p>
      <form
        class="room-form"
        action={path}
        onSubmit={(event) => {
          const opened = field.read();
          if (opened === undefined) event.preventDefault();
          else if (field.ref.current !== null) field.ref.current.value = opened; // it may be a link
        }}
      >
        <input
          ref={field.ref}
          name="room"
          placeholder="Room name"
          aria-label="Open or create a room"
          {...field.attributes}
        />
        <button type="submit" class="quiet">Go</button>
        <button
          type="button"
          class="quiet"
          disabled={!isReady}
          title="Opens a room whose name nobody can guess"
          onClick={() =>
            location.assign(roomUrl(path, newRoomName(friendlyName(Math.random), randomId())))}
        >
          New private room
        </button>
      </form>
      {field.fault}
    </div>
  );
}
