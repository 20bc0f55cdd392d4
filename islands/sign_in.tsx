import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** What the server passes to the form: plain JSON. */
export interface SignInProps {
  /** Why the visitor has to sign in again. */
  readonly problem?: string;
}

/** What the server passes to the button: plain JSON. */
export interface SignOutProps {
  /** The subject of the sign-in token, if it is valid and has one. */
  readonly subject?: string | undefined;
}

/** The ids of the elements that contain the islands. */
export const SIGN_IN_ID = "sign-in";
export const SIGN_OUT_ID = "sign-out";

const RESOURCE = "/v1/tickets";
const HELP_ID = "sign-in-help";
const PROBLEM_ID = "sign-in-problem";
/** A command that signs a token which may do everything in the console and the chat. */
const TOKEN_COMMAND = `deno task keys token --sub me \\
  --subscribe '**' --publish '**' \\
  --presence '**' --expires 8h`;

/** Exchanges a token for a session cookie, which scripts cannot read, and reloads the page. */
export function SignIn({ problem }: SignInProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [refusal, setRefusal] = useState(problem);
  // The form cannot be sent without a script, so it is disabled until the page runs.
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
        {/* Without a name, browsers never send the field. */}
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
      <details class="token-help">
        <summary>How do I get a token?</summary>
        <p>The operator of this server can issue one. There, this prints a token for 8 hours:</p>
        <pre tabIndex={0}>{TOKEN_COMMAND}</pre>
      </details>
    </form>
  );
}

/** Shows who is signed in and removes the session cookie. */
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

/** Returns why the sign-in failed, or undefined. */
async function signIn(token: string): Promise<string | undefined> {
  // Headers allow nothing else, and the browser's error would not help.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return "That is not a token: tokens have no spaces or accented letters.";
  }
  return await send("POST", {
    headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ as: "cookie" }),
  });
}

/** Removes the session cookie. Returns why that failed, or undefined. */
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
    return `Can't reach the server: ${reason}.`;
  }
}
