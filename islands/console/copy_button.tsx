import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

/** How long it says that it has copied, in ms. */
const SHOWN_MS = 1_500;

interface CopyButtonProps {
  readonly text: string;
  /** What it copies, for who doesn't see where it is. */
  readonly what: string;
  /** @default "Copy" */
  readonly says?: string;
}

/** Puts a text into the clipboard. */
export function CopyButton({ text, what, says = "Copy" }: CopyButtonProps): JSX.Element {
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => setSaid(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // A page that is neither on localhost nor HTTPS has no clipboard.
      setSaid("Copy is blocked: select the text");
    }
  }

  return (
    <button type="button" class="bare copy" onClick={() => void copy()}>
      <span aria-live="polite">{said ?? says}</span>
      <span class="hidden-visually">{what}</span>
    </button>
  );
}
