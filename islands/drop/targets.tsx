import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { PeerState, PeerStats } from "../../lib/client/rtc/api.ts";
import { Avatar } from "../avatar.tsx";
import { formatDuration } from "../format.ts";
import { useObservable } from "../use_observable.ts";
import type { DropState } from "./drop_state.ts";
import { filesOf, hasFiles } from "./dropped_files.ts";
import type { Person } from "./people.ts";

/** How often the quality of a connection is read. */
const STATS_MS = 2_000;

/** The people in the room. Each is a target for files. */
export function Targets({ drop }: { readonly drop: DropState | undefined }): JSX.Element {
  const people = drop?.people.value ?? [];
  return (
    <section class="drop-people" aria-labelledby="people-title">
      <h2 id="people-title">
        People {people.length > 0 && <small class="number">{people.length}</small>}
      </h2>
      {drop !== undefined && people.length === 0 && drop.room.value.status !== "closed" && (
        <p class="card empty">
          Nobody else is here. Open this page on another device, or send someone the link.
        </p>
      )}
      <ul class="list drop-targets">
        {drop !== undefined &&
          people.map((person) => <Target key={person.peer.session} drop={drop} person={person} />)}
      </ul>
    </section>
  );
}

interface TargetProps {
  readonly drop: DropState;
  readonly person: Person;
}

function Target({ drop, person }: TargetProps): JSX.Element {
  const { peer, name, note } = person;
  const picker = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const state = useObservable(peer.state) ?? peer.state.value;
  return (
    <li
      class="card drop-target"
      data-session={peer.session}
      data-status={state.status}
      data-over={isOver}
      onDragOver={(event) => {
        if (!hasFiles(event.dataTransfer)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={({ currentTarget, relatedTarget }) => {
        const isInside = relatedTarget instanceof Node && currentTarget.contains(relatedTarget);
        if (!isInside) setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const { files, folders } = filesOf(event.dataTransfer);
        drop.problem.value = folders === 0
          ? undefined
          : "A folder can't be sent. Pack it into an archive first.";
        drop.send(peer, files);
      }}
    >
      <Avatar name={name} />
      <p class="drop-who">
        <strong class="ellipsis">
          <bdi>{name}</bdi>
        </strong>
        {note !== undefined && <small>{note}</small>}
        <Quality person={person} state={state} />
      </p>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        onChange={({ currentTarget }) => {
          drop.send(peer, [...currentTarget.files ?? []]);
          currentTarget.value = ""; // so that the same file can be picked again
        }}
      />
      <button type="button" class="quiet" onClick={() => picker.current?.click()}>
        Send files<span class="hidden-visually">to {name}</span>
      </button>
      <p class="drop-hint" aria-hidden="true">Drop to send</p>
      {state.error !== undefined && (
        <p class="outcome is-error" role="alert">
          {state.error.detail.replaceAll(peer.member, name)}
        </p>
      )}
    </li>
  );
}

interface QualityProps {
  readonly person: Person;
  readonly state: PeerState;
}

/** Shows the state of the connection to a person, and by which way it goes. */
function Quality({ person: { peer }, state: { status } }: QualityProps): JSX.Element {
  const [stats, setStats] = useState<PeerStats>();
  useEffect(() => {
    setStats(undefined);
    if (status !== "connected") return;
    let isCurrent = true;
    const read = () =>
      peer.stats().then((next) => isCurrent && setStats(next), () => {
        // The connection has just closed: the state says so.
      });
    void read();
    const timer = setInterval(() => void read(), STATS_MS);
    return () => {
      isCurrent = false;
      clearInterval(timer);
    };
  }, [peer, status]);
  return <span class="drop-state">{describe(status, stats)}</span>;
}

function describe(status: PeerState["status"], stats: PeerStats | undefined): string {
  switch (status) {
    case "connecting":
      return "Connecting…";
    case "connected": {
      const route = stats?.route === "relay" ? "Connected by relay" : "Connected directly";
      const isKnown = stats?.route !== undefined;
      const time = stats?.roundTrip === undefined
        ? ""
        : ` · ${stats.roundTrip < 1 ? "under 1 ms" : formatDuration(stats.roundTrip)}`;
      return `${isKnown ? route : "Connected"}${time}`;
    }
    case "disconnected":
      return "Reconnecting…";
    case "failed":
      return "Can't connect";
    case "closed":
      return "Left";
  }
}
