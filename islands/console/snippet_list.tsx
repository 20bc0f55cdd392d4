import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "./copy_button.tsx";
import type { SnippetTarget } from "./snippets.ts";

interface SnippetsProps {
  readonly isGuarded: boolean;
  /** Titles, and commands or programs for the page's own server; undefined: there is none. */
  readonly snippets: (target: SnippetTarget) => readonly (readonly [string, string | undefined])[];
  /** Whether they are unfolded from the start. */
  readonly isOpen?: boolean;
}

/** Commands and programs to copy. They stand there once the page knows where it is from. */
export function Snippets({ isGuarded, snippets, isOpen = false }: SnippetsProps): JSX.Element {
  const [origin, setOrigin] = useState<string>();
  useEffect(() => setOrigin(location.origin), []);
  return (
    <section class="snippets" aria-label="Snippets">
      {isGuarded && (
        <p class="outcome">
          Put your token in place of <code>$TOKEN</code>.
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
