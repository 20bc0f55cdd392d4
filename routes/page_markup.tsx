import type { JSX } from "preact";
import { Live, LIVE_ID, type LiveProps } from "../islands/live.tsx";
import {
  SIGN_IN_ID,
  SIGN_OUT_ID,
  SignIn,
  type SignInProps,
  SignOut,
  type SignOutProps,
} from "../islands/sign_in.tsx";

/** What was asked for, as the page's form shows it again. */
export interface Asked {
  readonly channel: string;
  readonly types: string;
}

/** What the visitor gets to see. */
export interface View {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly live?: LiveProps;
  readonly error?: string;
  /** Whether the page asks for a token, and whether that is all it does. */
  readonly signIn?: "only" | "shown" | "folded";
  readonly session?: SignOutProps;
}

interface PageProps {
  readonly asked: Asked;
  readonly view: View;
  readonly isBuilt: boolean;
  readonly nonce: string;
}

/** The whole document. */
export function Page({ asked, view, isBuilt, nonce }: PageProps): JSX.Element {
  const { live, error, signIn, session } = view;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${asked.channel} · Weir`}</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/style.css" nonce={nonce} />
        {isBuilt && <script type="module" src="/assets/live.js" nonce={nonce}></script>}
      </head>
      <body>
        <header>
          <h1>
            <img src="/assets/icon.svg" alt="" width="28" height="28" /> Weir
          </h1>
          <p>Every event in a durable log, live to whoever listens.</p>
          {session !== undefined && <SignOutIsland {...session} />}
          {signIn === "folded" && (
            <details class="visitor">
              <summary>Sign in</summary>
              <SignInIsland />
            </details>
          )}
        </header>
        <main>
          {signIn !== "only" && <ChannelForm {...asked} />}
          {error !== undefined && signIn !== "only" && (
            <p class="card problem" role="alert">{error}</p>
          )}
          {!isBuilt && (
            <p class="card problem">
              The page is not live, because its script is not built: run{" "}
              <code>deno task build</code>.
            </p>
          )}
          <noscript>
            <p class="card problem">
              Without JavaScript the page shows events, but not live, and nobody can sign in.
            </p>
          </noscript>
          {signIn === "only" && <SignInIsland {...error !== undefined && { problem: error }} />}
          {signIn === "shown" && <SignInIsland />}
          {live !== undefined && (
            <div id={LIVE_ID} class="live" data-props={JSON.stringify(live)}>
              <Live {...live} />
            </div>
          )}
        </main>
      </body>
    </html>
  );
}

function ChannelForm({ channel, types }: Asked): JSX.Element {
  return (
    <form class="card subscribe" method="get" action="/">
      <label class="field">
        <span>Channel</span>
        <input name="channel" value={channel} autocomplete="off" spellcheck={false} required />
      </label>
      <label class="field">
        <span>
          Types <small>beside message, split by commas</small>
        </span>
        <input name="types" value={types} autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit" class="quiet">Show</button>
    </form>
  );
}

function SignInIsland(props: SignInProps): JSX.Element {
  return (
    <div id={SIGN_IN_ID} class="card" data-props={JSON.stringify(props)}>
      <SignIn {...props} />
    </div>
  );
}

function SignOutIsland(props: SignOutProps): JSX.Element {
  return (
    <div id={SIGN_OUT_ID} class="visitor" data-props={JSON.stringify(props)}>
      <SignOut {...props} />
    </div>
  );
}
