import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConnectionState } from "../lib/client/api.ts";
import { useObservable } from "./observable.ts";
import { signOut } from "./sign_in.tsx";
import { currentClient } from "./current_client.ts";

/** What the server gives the notice: plain JSON. */
export interface SignInNoticeProps {
  /** Milliseconds that the session had left when the page was made; none: it has no end. */
  readonly expiresIn?: number | undefined;
}

/** The element that holds the notice. */
export const SIGN_IN_NOTICE_ID = "sign-in-notice";

/** How long before its end a session says so, in ms. */
const SOON_MS = 60_000;
/** The longest that a browser's timer takes, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What an error of the client means where it ends the session, by its code. */
const SIGNED_OUT_REASONS: Readonly<Record<string, string>> = {
  expired: "Signed out: your session expired.",
  token_expired: "Signed out: your session expired.",
  revoked: "Signed out: your session was revoked.",
  token_revoked: "Signed out: your session was revoked.",
  token_invalid: "Signed out: your session ended.",
  unauthenticated: "Signed out: your session ended.",
};

/** Under the bar of every page: that the session ends soon, or has ended, and the way back. */
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

/** Leads to the form: a session that is still good has to go first. */
async function signInAgain(hasEnded: boolean): Promise<void> {
  if (!hasEnded) await signOut(); // where that fails, the page comes back as it is
  location.reload();
}

/** A sentence, if what has ended the connection is the end of the session. */
export function signedOutReason(state: ConnectionState | undefined): string | undefined {
  const isCut = state?.status === "closed" || state?.status === "reconnecting";
  return isCut && state.error !== undefined ? SIGNED_OUT_REASONS[state.error.code] : undefined;
}

/** The first that was said: what comes after a goodbye knows less. */
function useSignedOutReason(state: ConnectionState | undefined): string | undefined {
  const said = useRef<string>(undefined);
  if (state?.status === "open") said.current = undefined; // another tab has signed in again
  return said.current ??= signedOutReason(state);
}

/** Whether the end is near. */
function useIsEndingSoon(expiresIn: number | undefined): boolean {
  const [isSoon, setSoon] = useState(false);
  useEffect(() => {
    if (expiresIn === undefined || expiresIn > MAX_TIMER_MS) return;
    const timer = setTimeout(() => setSoon(true), Math.max(0, expiresIn - SOON_MS));
    return () => clearTimeout(timer);
  }, [expiresIn]);
  return isSoon;
}
