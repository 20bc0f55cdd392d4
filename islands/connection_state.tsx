import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ConnectionState as State, TransportName, Weir } from "../lib/client/api.ts";
import { useObservable } from "./observable.ts";

/** How often the countdown to the next try moves, in ms. */
const TICK_MS = 100;

export const TRANSPORT_NAMES: Readonly<Record<TransportName, string>> = {
  "websocket": "WebSocket",
  "sse": "server-sent events",
  "long-poll": "long poll",
  "short-poll": "short poll",
};

interface ConnectionStateProps {
  /** None until the page runs. */
  readonly weir: Pick<Weir, "state"> | undefined;
}

/** A dot and words: what the connection does. */
export function ConnectionState({ weir }: ConnectionStateProps): JSX.Element {
  const state = useObservable(weir?.state) ?? { status: "idle" };
  const why = errorOf(state);
  return (
    <span class="connection" data-status={state.status} {...why !== undefined && { title: why }}>
      {/* The countdown isn't spoken: it would never end. */}
      <span role="status">{describe(state)}</span>
      {state.status === "reconnecting" && (
        <span aria-hidden="true">
          <Countdown at={state.at} />
        </span>
      )}
    </span>
  );
}

/** `in 1.2 s`. The clock that is read is the one that `at` was made by. */
function Countdown({ at }: { readonly at: number }): JSX.Element {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return <>in {(Math.max(0, at - now) / 1_000).toFixed(1)} s</>;
}

export function describe(state: State): string {
  switch (state.status) {
    case "idle":
      return "Not connected";
    case "connecting":
      return `Connecting via ${TRANSPORT_NAMES[state.transport]}`;
    case "open":
      return `Connected via ${TRANSPORT_NAMES[state.transport]}`;
    case "reconnecting":
      return "Reconnecting";
    case "offline":
      return "Offline";
    case "closed":
      return "Closed";
  }
}

function errorOf(state: State): string | undefined {
  return "error" in state ? state.error?.detail : undefined;
}
