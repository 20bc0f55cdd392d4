import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ServerActivity } from "./server_activity.ts";

const TICK_MS = 1_000;

/** Shows how long ago the server last sent something. It sends at least a heartbeat. */
export function LastActivity(
  { activity }: { readonly activity: ServerActivity | undefined },
): JSX.Element | null {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  if (activity?.lastAt === undefined) return null;
  const seconds = Math.max(0, Math.floor((now - activity.lastAt) / 1_000));
  return (
    <span class="chat-activity soft number">
      {seconds === 0 ? "last contact just now" : `last contact ${seconds} s ago`}
    </span>
  );
}
