import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

/** How long the button confirms that it copied the text. */
const SHOWN_MS = 1_500;

interface CopyButtonProps {
  readonly text: string;
  /** Names what it copies, for screen readers. */
  readonly what: string;
  /** @default "Copy" */
  readonly label?: string;
}

/** Copies a text to the clipboard. */
export function CopyButton({ text, what, label = "Copy" }: CopyButtonProps): JSX.Element {
  const [message, setMessage] = useState<string>();
  useEffect(() => {
    if (message === undefined) return;
    const timer = setTimeout(() => setMessage(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [message]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setMessage("Copied");
    } catch {
      // Only pages on localhost or HTTPS can write to the clipboard.
      setMessage("Copy is blocked: select the text");
    }
  }

  return (
    <button type="button" class="bare copy" onClick={() => void copy()}>
      <span aria-live="polite">{message ?? label}</span>
      <span class="hidden-visually">{what}</span>
    </button>
  );
}
