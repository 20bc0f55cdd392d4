import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ServerActivity } from "./server_activity.ts";

/** How often the time moves, in ms. */
const TICK_MS = 1_000;

/** How long ago the server was last heard: it says something with each heartbeat. */
export function LastActivity(
  { heard }: { readonly heard: ServerActivity | undefined },
): JSX.Element | null {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  if (heard?.lastAt === undefined) return null;
  const seconds = Math.max(0, Math.floor((now - heard.lastAt) / 1_000));
  return (
    <span class="chat-activity soft number">
      {seconds === 0 ? "last contact just now" : `last contact ${seconds} s ago`}
    </span>
  );
}
