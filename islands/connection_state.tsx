import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConnectionState as State, TransportName, Weir } from "../lib/client/api.ts";
import { useObservable } from "./use_observable.ts";

/** What pages say while the client cannot reach the server. */
const UNREACHABLE = "Can't reach the server. Retrying…";
/** How often the countdown to the next attempt is updated. */
const TICK_MS = 100;

export const TRANSPORT_NAMES: Readonly<Record<TransportName, string>> = {
  "webtransport": "WebTransport",
  "websocket": "WebSocket",
  "sse": "server-sent events",
  "long-poll": "long poll",
  "short-poll": "short poll",
};

interface ConnectionStateProps {
  /** Undefined until the page runs. */
  readonly weir: Pick<Weir, "state"> | undefined;
}

/** Shows the state of the connection as a dot and a few words. */
export function ConnectionState({ weir }: ConnectionStateProps): JSX.Element {
  const state = useObservable(weir?.state) ?? { status: "idle" };
  const why = errorOf(state);
  const isUnreachable = useIsUnreachable(state);
  return (
    <span class="connection" data-status={state.status} {...why !== undefined && { title: why }}>
      {/* Screen readers skip the countdown, which changes all the time. */}
      <span role="status">{isUnreachable ? UNREACHABLE : describe(state)}</span>
      {state.status === "reconnecting" && !isUnreachable && (
        <span aria-hidden="true">
          <Countdown at={state.at} />
        </span>
      )}
    </span>
  );
}

/** Returns whether the connection was lost and is not open again. */
export function useIsLost(state: State | undefined): boolean {
  const isLost = useRef(false);
  const status = state?.status ?? "idle";
  if (status !== "connecting") isLost.current = status !== "open" && status !== "idle";
  return isLost.current;
}

/** Returns whether an attempt has failed to reach the server; stays true during the next ones. */
function useIsUnreachable(state: State): boolean {
  const last = useRef({ status: state.status, isUnreachable: false });
  const { status, isUnreachable } = last.current;
  if (state.status !== status) {
    const hasFailed = state.status === "reconnecting" && status === "connecting" &&
      state.error.code === "unreachable";
    const isTrying = state.status === "reconnecting" || state.status === "connecting";
    last.current = {
      status: state.status,
      isUnreachable: hasFailed || (isTrying && isUnreachable),
    };
  }
  return last.current.isUnreachable;
}

/** Shows `in 1.2 s`. Uses the clock that `at` was made with. */
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
      return `Connecting · ${TRANSPORT_NAMES[state.transport]}`;
    case "open":
      return `Connected · ${TRANSPORT_NAMES[state.transport]}`;
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
