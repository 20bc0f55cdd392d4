import type { ComponentChildren, JSX } from "preact";
import type { WeirError } from "../../lib/client/client.ts";

interface ProblemProps {
  readonly error: WeirError;
  /** What the visitor can do about it: buttons. */
  readonly children?: ComponentChildren;
}

/** Shows an error. Its detail says what to do. */
export function Problem({ error, children }: ProblemProps): JSX.Element {
  return (
    <div class="card problem call-problem" role="alert" data-code={error.code}>
      <p>{error.detail}</p>
      {children}
    </div>
  );
}
