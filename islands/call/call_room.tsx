import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ConnectionState } from "../connection_state.tsx";
import { CopyButton } from "../copy_button.tsx";
import { useObservable } from "../use_observable.ts";
import type { CallSession } from "./call_session.ts";
import type { CallState } from "./call_state.ts";
import { DeviceButton } from "./device_button.tsx";
import { DeviceField } from "./device_field.tsx";
import { Icon } from "./icons.tsx";
import { MeshNotice } from "./mesh_notice.tsx";
import { countText } from "./people_text.ts";
import { Problem } from "./problem.tsx";
import { roomUrl } from "../room_name.ts";
import { PATH } from "./room_name.ts";
import { TileGrid } from "./tile_grid.tsx";

const DEVICES_ID = "call-devices";

interface CallRoomProps {
  readonly call: CallState;
  readonly session: CallSession;
}

/** A call: the people, and what the visitor can do. */
export function CallRoom({ call, session }: CallRoomProps): JSX.Element {
  const [showsDetails, setShowsDetails] = useState(false);
  const [showsDevices, setShowsDevices] = useState(false);
  const [isBlocked, setBlocked] = useState(false);
  const people = 1 + (useObservable(session.room.peers)?.length ?? 0);
  const problem = session.problem.value;
  return (
    <div class="fill call">
      <CallBar call={call} session={session} people={people} />
      <div class="call-notices">
        <MeshNotice people={people} />
        {problem !== undefined && (
          <Problem error={problem}>
            <button type="button" class="quiet" onClick={() => session.problem.value = undefined}>
              Dismiss
            </button>
          </Problem>
        )}
        {isBlocked && <SoundButton done={() => setBlocked(false)} />}
      </div>
      <TileGrid
        call={call}
        session={session}
        showsDetails={showsDetails}
        onBlocked={() => setBlocked(true)}
      />
      {showsDevices && (
        <div id={DEVICES_ID} class="call-devices">
          <DeviceField media={call.media} kind="video" />
          <DeviceField media={call.media} kind="audio" />
        </div>
      )}
      <p class="call-news" role="status">{session.news.value}</p>
      <Controls
        call={call}
        session={session}
        showsDetails={showsDetails}
        showsDevices={showsDevices}
        toggleDetails={() => setShowsDetails(!showsDetails)}
        toggleDevices={() => setShowsDevices(!showsDevices)}
      />
    </div>
  );
}

interface CallBarProps extends CallRoomProps {
  readonly people: number;
}

function CallBar({ call, session, people }: CallBarProps): JSX.Element {
  const title = useRef<HTMLHeadingElement>(null);
  // The button that the visitor has pressed is gone.
  useEffect(() => title.current?.focus(), []);
  const state = useObservable(session.room.state);
  return (
    <header class="call-bar">
      <h1 ref={title} class="ellipsis" tabIndex={-1}>
        <bdi>{call.room}</bdi>
      </h1>
      <span class="soft number">
        {state?.status === "joining" ? "Joining…" : countText(people)}
      </span>
      <CopyButton
        text={`${location.origin}${roomUrl(PATH, call.room)}`}
        what="to this call"
        label="Copy link"
      />
      <span class="call-connection">
        <ConnectionState weir={call.weir} />
      </span>
    </header>
  );
}

interface ControlsProps extends CallRoomProps {
  readonly showsDetails: boolean;
  readonly showsDevices: boolean;
  readonly toggleDetails: () => void;
  readonly toggleDevices: () => void;
}

function Controls(
  { call, session, showsDetails, showsDevices, toggleDetails, toggleDevices }: ControlsProps,
): JSX.Element {
  const isSharing = session.screen.value !== undefined;
  return (
    <div class="call-controls" role="group" aria-label="Call controls">
      <DeviceButton media={call.media} kind="audio" />
      <DeviceButton media={call.media} kind="video" />
      {session.mayShare && (
        <button
          type="button"
          class="quiet call-control"
          aria-pressed={isSharing}
          onClick={() => isSharing ? session.stopScreen() : void session.shareScreen()}
        >
          <Icon name="screen" />
          <span>Share screen</span>
        </button>
      )}
      <button
        type="button"
        class="quiet call-control"
        aria-expanded={showsDevices}
        aria-controls={DEVICES_ID}
        onClick={toggleDevices}
      >
        <Icon name="devices" />
        <span>Devices</span>
      </button>
      <button
        type="button"
        class="quiet call-control"
        aria-pressed={showsDetails}
        onClick={toggleDetails}
      >
        <Icon name="details" />
        <span>Quality</span>
      </button>
      <button type="button" class="danger call-control" onClick={() => call.leave()}>
        <Icon name="leave" />
        <span>Leave</span>
      </button>
    </div>
  );
}

/** Browsers play no sound before a click on some pages that were restored. */
function SoundButton({ done }: { readonly done: () => void }): JSX.Element {
  function play(): void {
    for (const video of document.querySelectorAll("video")) void video.play();
    done();
  }
  return (
    <p class="card problem call-problem">
      <span>The browser plays no sound before you allow it.</span>
      <button type="button" onClick={play}>Play sound</button>
    </p>
  );
}
