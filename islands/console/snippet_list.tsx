import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "../copy_button.tsx";
import type { SnippetTarget } from "./snippets.ts";

interface SnippetsProps {
  readonly isGuarded: boolean;
  /** Returns titles with commands or programs for the page's server. Undefined ones are skipped. */
  readonly snippets: (target: SnippetTarget) => readonly (readonly [string, string | undefined])[];
  /** Whether the snippets are unfolded at first. */
  readonly isOpen?: boolean;
}

/** Shows commands and programs to copy, once the page knows its origin. */
export function Snippets({ isGuarded, snippets, isOpen = false }: SnippetsProps): JSX.Element {
  const [origin, setOrigin] = useState<string>();
  useEffect(() => setOrigin(location.origin), []);
  return (
    <section class="snippets" aria-label="Snippets">
      {isGuarded && (
        <p class="outcome">
          Replace <code>$TOKEN</code> with your token.
        </p>
      )}
      {origin !== undefined && snippets({ origin, isGuarded }).map(([title, text]) =>
        text === undefined ? null : (
          <details key={title} open={isOpen}>
            <summary>
              <span class="ellipsis">{title}</span>
            </summary>
            <CopyButton text={text} what={`the snippet: ${title}`} />
            <pre tabIndex={0}>{text}</pre>
          </details>
        )
      )}
    </section>
  );
}
