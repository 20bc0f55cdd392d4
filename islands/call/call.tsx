import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { pageClient } from "../page_client.ts";
import { Problem } from "./problem.tsx";
import { VisitorStorage } from "../visitor_storage.ts";
import { CallRoom } from "./call_room.tsx";
import { type CallStage, CallState } from "./call_state.ts";
import { Lobby } from "./lobby.tsx";
import { StartForm } from "./start_form.tsx";

/** What the server passes to the island: plain JSON. */
export interface CallProps {
  /** Undefined: the page asks for a room. */
  readonly room?: string | undefined;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
  readonly mayJoin: boolean;
}

/** The call page: a room to choose, the devices, and the call. */
export function Call({ room, subject, mayJoin }: CallProps): JSX.Element {
  if (room === undefined) return <StartForm />;
  if (!mayJoin) return <Refusal room={room} />;
  return <CallPage room={room} subject={subject} />;
}

function Refusal({ room }: { readonly room: string }): JSX.Element {
  return (
    <div class="call-page">
      <h1>
        <bdi>{room}</bdi>
      </h1>
      <p class="card problem">
        You don't have permission to join this call. A token needs the right <code>presence</code>
        {" "}
        on <code>call:{room}</code>.
      </p>
    </div>
  );
}

interface CallPageProps {
  readonly room: string;
  readonly subject: string | undefined;
}

function CallPage({ room, subject }: CallPageProps): JSX.Element {
  const call = useCall(room, subject);
  const stage: CallStage = call?.stage.value ?? { name: "lobby" };
  if (call === undefined || stage.name === "lobby") {
    return <Lobby call={call} room={room} subject={subject} />;
  }
  if (stage.name === "left") return <Left call={call} error={stage.error} />;
  return <CallRoom call={call} session={stage.session} />;
}

/** Says that the call is over, and why. */
function Left(
  { call, error }: { readonly call: CallState; readonly error: CallErrorProp },
): JSX.Element {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  return (
    <div class="call-page">
      <h1 ref={title} tabIndex={-1}>
        {error === undefined ? "You left " : "The call ended: "}
        <bdi>{call.room}</bdi>
      </h1>
      {error !== undefined && <Problem error={error} />}
      <p class="row">
        <button type="button" onClick={() => call.prepare()}>Join again</button>
        <a class="button quiet" href="/call">Another call</a>
      </p>
    </div>
  );
}

type CallErrorProp = Extract<CallStage, { name: "left" }>["error"];

/** Opens the visitor's call. Returns undefined on the server and before the page runs. */
function useCall(room: string, subject: string | undefined): CallState | undefined {
  const [call, setCall] = useState<CallState>();
  useEffect(() => {
    const storage = new VisitorStorage(subject, () => localStorage);
    // Undefined on pages that are not secure; the types don't know them.
    const devices: MediaDevices | undefined = navigator.mediaDevices;
    const opened = new CallState({ weir: pageClient(), room, storage, subject, devices });
    setCall(opened);
    void opened.media.startAll();
    const ending = new AbortController();
    // Others see at once that the visitor has closed the page.
    addEventListener("pagehide", () => opened.leave(), { signal: ending.signal });
    return () => {
      ending.abort();
      opened[Symbol.dispose]();
    };
  }, [room, subject]);
  useEffect(() => {
    document.title = `${room} · Call · Weir`;
  }, [room]);
  return call;
}
