import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Heard } from "./heard.ts";

/** How often the time moves, in ms. */
const TICK = 1_000;

/** How long ago the server was last heard: it says something with each heartbeat. */
export function LastHeard({ heard }: { readonly heard: Heard | undefined }): JSX.Element | null {
  const [now, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK);
    return () => clearInterval(timer);
  }, []);
  if (heard?.at === undefined) return null;
  const seconds = Math.max(0, Math.floor((now - heard.at) / 1_000));
  return (
    <span class="chat-heard soft number">
      {seconds === 0 ? "heard just now" : `heard ${seconds} s ago`}
    </span>
  );
}
