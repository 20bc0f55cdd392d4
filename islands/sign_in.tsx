import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** What the server gives the form: plain JSON. */
export interface SignInProps {
  /** Why the visitor has to sign in again. */
  readonly problem?: string;
}

/** What the server gives the button: plain JSON. */
export interface SignOutProps {
  /** Who is signed in, where the session is good and its token says so. */
  readonly subject?: string | undefined;
}

/** The elements that hold the islands. */
export const SIGN_IN_ID = "sign-in";
export const SIGN_OUT_ID = "sign-out";

const RESOURCE = "/v1/tickets";
const HELP_ID = "sign-in-help";
const PROBLEM_ID = "sign-in-problem";

/** Turns a token into a session cookie, which no script can read, and loads the page anew. */
export function SignIn({ problem }: SignInProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [refusal, setRefusal] = useState(problem);
  // Without the script the form could not be sent: so it can't be before it runs.
  const [isReady, setReady] = useState(false);
  useEffect(() => setReady(true), []);

  async function submit(): Promise<void> {
    const input = field.current;
    if (input === null || !isReady) return;
    const token = input.value.trim();
    input.value = "";
    setReady(false);
    const refused = await signIn(token);
    if (refused === undefined) return location.reload();
    setRefusal(refused);
    setReady(true);
    input.focus();
  }

  return (
    <form
      class="sign-in"
      aria-labelledby="sign-in-title"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2 id="sign-in-title">Sign in</h2>
      {refusal !== undefined && (
        <p id={PROBLEM_ID} class="outcome is-error" role="alert">{refusal}</p>
      )}
      <label class="field">
        <span>Token</span>
        {/* It has no name, so that no browser ever sends it as a form's field. */}
        <input
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-describedby={refusal === undefined ? HELP_ID : `${PROBLEM_ID} ${HELP_ID}`}
        />
      </label>
      <button type="submit" disabled={!isReady}>Sign in</button>
      <p id={HELP_ID} class="outcome">
        The browser keeps it in a cookie that scripts can't read, until the token expires.
      </p>
    </form>
  );
}

/** Says who is signed in, and has the browser forget the session. */
export function SignOut({ subject }: SignOutProps): JSX.Element {
  const [failure, setFailure] = useState<string>();

  async function leave(): Promise<void> {
    const refused = await signOut();
    if (refused === undefined) return location.reload();
    setFailure(refused);
  }

  return (
    <p class="signed-in">
      {failure !== undefined && <span class="is-error" role="alert">{failure}</span>}
      <span class="who">
        {subject === undefined ? "Signed in" : (
          <>
            Signed in as <strong>{subject}</strong>
          </>
        )}
      </span>
      <button type="button" class="quiet" onClick={() => void leave()}>Sign out</button>
    </p>
  );
}

/** Answers why not. */
async function signIn(token: string): Promise<string | undefined> {
  // A header takes nothing else, and the browser's own words for that help nobody.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return "That is not a token: tokens have no spaces or accented letters.";
  }
  return await send("POST", {
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ as: "cookie" }),
  });
}

/** Has the browser forget the session. Answers why not. */
export async function signOut(): Promise<string | undefined> {
  return await send("DELETE", {});
}

async function send(
  method: "POST" | "DELETE",
  init: { readonly headers?: HeadersInit; readonly body?: string },
): Promise<string | undefined> {
  try {
    const response = await fetch(RESOURCE, { ...init, method });
    if (response.ok) return undefined;
    const { detail } = await response.json();
    return String(detail);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return `The server did not respond: ${reason}.`;
  }
}
