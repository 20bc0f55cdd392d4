import type { ComponentChildren, JSX } from "preact";
import type { Peer, PeerState, PeerStream } from "../../lib/client/rtc/api.ts";
import { Avatar } from "../avatar.tsx";
import { formatName } from "../format.ts";
import { nameIn } from "../person_name.ts";
import { useObservable } from "../use_observable.ts";
import { type CallData, screenIn } from "./call_data.ts";
import type { CallSession } from "./call_session.ts";
import type { CallState } from "./call_state.ts";
import { Icon } from "./icons.tsx";
import { Quality } from "./quality.tsx";
import type { SpeakingMeter } from "./speaking.ts";
import { useSpeaking, useStream, useVideo } from "./use_media.ts";

const NO_STREAMS: readonly PeerStream[] = [];

interface PeerTilesProps {
  readonly peer: Peer<CallData>;
  readonly meter: SpeakingMeter;
  readonly showsDetails: boolean;
  readonly onBlocked: () => void;
}

/** Shows a peer: one tile for the person and one for each screen. */
export function PeerTiles(
  { peer, meter, showsDetails, onBlocked }: PeerTilesProps,
): JSX.Element {
  const data = useObservable(peer.data);
  const state = useObservable(peer.state) ?? { status: "connecting" };
  const streams = useObservable(peer.streams) ?? NO_STREAMS;
  const name = formatName(nameIn(data) ?? peer.member);
  const { person, screens } = sortStreams(streams, screenIn(data));
  const track = person?.stream.getAudioTracks()[0];
  const isMuted = person?.audioMuted ?? true;
  const isSpeaking = useSpeaking(meter, isMuted ? undefined : track);
  return (
    <>
      {screens.map(({ stream }) => (
        <Tile
          key={stream.id}
          isScreen
          name={name}
          caption={
            <>
              Screen of <bdi>{name}</bdi>
            </>
          }
          stream={stream}
          hasPicture
          onBlocked={onBlocked}
        />
      ))}
      <Tile
        name={name}
        session={peer.session}
        status={state.status}
        caption={
          <Caption
            name={name}
            isMuted={state.status === "connected" && (track === undefined || isMuted)}
          />
        }
        stream={person?.stream}
        hasPicture={person !== undefined && !person.videoMuted &&
          person.stream.getVideoTracks().length > 0}
        isSpeaking={isSpeaking}
        onBlocked={onBlocked}
      >
        <ConnectionNote state={state} member={peer.member} name={name} />
        {showsDetails && <Quality peer={peer} />}
      </Tile>
    </>
  );
}

/** Shows the visitor, as others see them but mirrored. */
export function OwnTile(
  { call, session }: { readonly call: CallState; readonly session: CallSession },
): JSX.Element {
  const { media, meter } = call;
  const isHeard = media.audio.state.value.status === "on";
  const track = media.audio.track.value;
  const picture = useStream(media.video.track.value);
  const isSpeaking = useSpeaking(meter, isHeard ? track : undefined);
  return (
    <Tile
      isOwn
      name={call.name.value}
      caption={
        <>
          <Caption name={call.name.value} isMuted={!isHeard} />
          <small>{session.screen.value === undefined ? "you" : "you, sharing your screen"}</small>
        </>
      }
      stream={picture}
      hasPicture={media.video.state.value.status === "on"}
      isSpeaking={isSpeaking}
    />
  );
}

interface CaptionProps {
  readonly name: string;
  readonly isMuted: boolean;
}

function Caption({ name, isMuted }: CaptionProps): JSX.Element {
  return (
    <>
      {isMuted && (
        <>
          <Icon name="microphone" isOff />
          <span class="hidden-visually">Muted:</span>
        </>
      )}
      <bdi class="ellipsis">{name}</bdi>
    </>
  );
}

interface TileProps {
  readonly name: string;
  readonly session?: string;
  readonly status?: PeerState["status"];
  readonly caption: ComponentChildren;
  readonly stream: MediaStream | undefined;
  readonly hasPicture: boolean;
  readonly isOwn?: boolean;
  readonly isScreen?: boolean;
  readonly isSpeaking?: boolean;
  readonly onBlocked?: () => void;
  /** Shown over the picture. */
  readonly children?: ComponentChildren;
}

function Tile(
  {
    name,
    session,
    status,
    caption,
    stream,
    hasPicture,
    isOwn = false,
    isScreen = false,
    isSpeaking = false,
    onBlocked,
    children,
  }: TileProps,
): JSX.Element {
  const video = useVideo(stream, onBlocked);
  const kind = isOwn ? " is-own" : isScreen ? " is-screen" : "";
  return (
    <li
      class={`call-tile${kind}`}
      data-session={session}
      data-status={status}
      data-speaking={isSpeaking}
      data-picture={hasPicture}
    >
      <video
        ref={video}
        muted={isOwn}
        playsInline
        aria-label={isScreen ? `Screen of ${name}` : `Video of ${name}`}
      />
      {!hasPicture && <Avatar name={name} />}
      <p class="call-caption">{caption}</p>
      {children}
    </li>
  );
}

const NOTES: Readonly<Record<PeerState["status"], string>> = {
  connecting: "Connecting…",
  connected: "",
  disconnected: "Connection lost. Reconnecting…",
  failed: "Can't connect. Trying again…",
  closed: "Left",
};

interface ConnectionNoteProps {
  readonly state: PeerState;
  readonly member: string;
  readonly name: string;
}

/** Says over the picture that there is no connection, and why. */
function ConnectionNote({ state, member, name }: ConnectionNoteProps): JSX.Element | null {
  const note = NOTES[state.status];
  if (note === "") return null;
  return (
    <p class="call-note" data-status={state.status} data-code={state.error?.code}>
      {note}
      {/* People know each other by name. */}
      {state.error !== undefined && <span>{state.error.detail.replaceAll(member, name)}</span>}
    </p>
  );
}

interface SortedStreams {
  readonly person: PeerStream | undefined;
  readonly screens: readonly PeerStream[];
}

/**
 * Tells a peer's camera from its screens. Two sessions of a member share their data, so a second
 * stream is a screen even if the data names another one.
 *
 * @param screen the id of the stream that the peer calls its screen
 */
export function sortStreams(
  streams: readonly PeerStream[],
  screen: string | undefined,
): SortedStreams {
  const person = streams.find(({ stream }) => stream.id !== screen);
  return { person, screens: streams.filter((each) => each !== person) };
}
