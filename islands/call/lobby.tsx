import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { Avatar } from "../avatar.tsx";
import { MAX_NAME } from "../person_name.ts";
import type { CallState } from "./call_state.ts";
import { DeviceButton } from "./device_button.tsx";
import { DeviceField } from "./device_field.tsx";
import { useSpeaking, useStream, useVideo } from "./use_media.ts";

interface LobbyProps {
  /** Undefined until the page runs. */
  readonly call: CallState | undefined;
  readonly room: string;
  readonly subject: string | undefined;
}

/** Shows the visitor what others will see of them, before they join. */
export function Lobby({ call, room, subject }: LobbyProps): JSX.Element {
  const name = useRef<HTMLInputElement>(null);
  return (
    <div class="call-page">
      <h1>
        Join <bdi>{room}</bdi>
      </h1>
      <div class="call-lobby">
        <Preview call={call} />
        <form
          class="call-ready"
          onSubmit={(event) => {
            event.preventDefault();
            call?.join(name.current?.value ?? "");
          }}
        >
          {subject !== undefined && (
            <p>
              You join as <strong>{subject}</strong>.
            </p>
          )}
          {subject === undefined && (
            <label class="field">
              <span>Your name</span>
              <input
                ref={name}
                maxLength={MAX_NAME}
                autocomplete="nickname"
                spellcheck={false}
                defaultValue={call?.name.value}
              />
            </label>
          )}
          <DeviceField media={call?.media} kind="video" />
          <DeviceField media={call?.media} kind="audio" />
          <JoinButton call={call} />
        </form>
      </div>
    </div>
  );
}

function JoinButton({ call }: { readonly call: CallState | undefined }): JSX.Element {
  const isSeen = call?.media.video.state.value.status === "on";
  const isHeard = call?.media.audio.state.value.status === "on";
  return (
    <>
      <button type="submit" disabled={call === undefined}>Join the call</button>
      <p class="outcome" role="status">{call !== undefined && outlookText(isSeen, isHeard)}</p>
    </>
  );
}

/** Says what others will see and hear. */
function outlookText(isSeen: boolean, isHeard: boolean): string {
  if (isSeen && isHeard) return "Others will see and hear you.";
  if (isSeen) return "Others will see you, but not hear you.";
  if (isHeard) return "Others will hear you, but not see you.";
  return "Others will neither see nor hear you. You can still see and hear them.";
}

function Preview({ call }: { readonly call: CallState | undefined }): JSX.Element {
  const isOn = call?.media.video.state.value.status === "on";
  const isHeard = call?.media.audio.state.value.status === "on";
  const track = call?.media.audio.track.value;
  const video = useVideo(useStream(call?.media.video.track.value));
  const isSpeaking = useSpeaking(call?.meter, isHeard ? track : undefined);
  return (
    <section class="call-preview" aria-label="Preview">
      <div class="call-tile is-own" data-speaking={isSpeaking} data-picture={isOn}>
        <video ref={video} muted playsInline aria-label="What others will see of you" />
        {!isOn && <Avatar name={call?.name.value ?? ""} />}
        <p class="call-caption">
          {isHeard ? isSpeaking ? "Your microphone works" : "Say something" : "Microphone off"}
        </p>
      </div>
      <div class="call-controls">
        <DeviceButton media={call?.media} kind="audio" />
        <DeviceButton media={call?.media} kind="video" />
      </div>
    </section>
  );
}
