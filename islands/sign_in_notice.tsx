import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConnectionState } from "../lib/client/api.ts";
import { useObservable } from "./use_observable.ts";
import { signOut } from "./sign_in.tsx";
import { currentClient } from "./current_client.ts";

/** What the server passes to the notice: plain JSON. */
export interface SignInNoticeProps {
  /** Milliseconds until the session cookie expires; undefined if it does not. */
  readonly expiresIn?: number | undefined;
}

/** The id of the element that contains the notice. */
export const SIGN_IN_NOTICE_ID = "sign-in-notice";

/** The notice appears this long before the session cookie expires. */
const SOON_MS = 60_000;
/** The longest delay of a browser's timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What the notice says, by the code of the error that closed the connection. */
const SIGNED_OUT_REASONS: Readonly<Record<string, string>> = {
  expired: "Signed out: your session expired.",
  token_expired: "Signed out: your session expired.",
  revoked: "Signed out: your session was revoked.",
  token_revoked: "Signed out: your session was revoked.",
  token_invalid: "Signed out: your session ended.",
  unauthenticated: "Signed out: your session ended.",
};

/** Says that the sign-in expires soon or has ended, and offers to sign in again. */
export function SignInNotice({ expiresIn }: SignInNoticeProps): JSX.Element | null {
  const reason = useSignedOutReason(useObservable(currentClient.value?.state));
  const isEnding = useIsEndingSoon(expiresIn);
  if (reason === undefined && !isEnding) return null;
  return (
    <p class="sign-in-notice" role="alert" data-ended={reason !== undefined}>
      <span>{reason ?? "Your session expires within a minute."}</span>
      <button type="button" onClick={() => void signInAgain(reason !== undefined)}>
        Sign in again
      </button>
    </p>
  );
}

/** Reloads the page, which shows the form. A valid session cookie is removed first. */
async function signInAgain(hasEnded: boolean): Promise<void> {
  if (!hasEnded) await signOut(); // if this fails, the page stays signed in
  location.reload();
}

/** Returns a sentence if the connection ended because the visitor was signed out. */
export function signedOutReason(state: ConnectionState | undefined): string | undefined {
  const isCut = state?.status === "closed" || state?.status === "reconnecting";
  return isCut && state.error !== undefined ? SIGNED_OUT_REASONS[state.error.code] : undefined;
}

/** Keeps the first reason: later errors say less. */
function useSignedOutReason(state: ConnectionState | undefined): string | undefined {
  const reason = useRef<string>(undefined);
  if (state?.status === "open") reason.current = undefined; // another tab has signed in again
  return reason.current ??= signedOutReason(state);
}

/** Tells whether the session cookie expires soon. */
function useIsEndingSoon(expiresIn: number | undefined): boolean {
  const [isSoon, setIsSoon] = useState(false);
  useEffect(() => {
    if (expiresIn === undefined || expiresIn > MAX_TIMER_MS) return;
    const timer = setTimeout(() => setIsSoon(true), Math.max(0, expiresIn - SOON_MS));
    return () => clearTimeout(timer);
  }, [expiresIn]);
  return isSoon;
}
