import type { ComponentChildren, JSX, VNode } from "preact";
import {
  SIGN_IN_NOTICE_ID,
  SignInNotice,
  type SignInNoticeProps,
} from "../islands/sign_in_notice.tsx";
import {
  SIGN_IN_ID,
  SIGN_OUT_ID,
  SignIn,
  type SignInProps,
  SignOut,
  type SignOutProps,
} from "../islands/sign_in.tsx";
import { ISLAND_ID } from "../islands/hydrate.tsx";
import type { PageName } from "../lib/pages.ts";
import { VERSION } from "../lib/version.ts";

/** What the visitor sees. */
export interface PageView {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly island?: { readonly props: object; readonly rendered: VNode };
  readonly error?: string;
  /** How the page asks for a token: as its only content, above it, or folded in the header. */
  readonly signIn?: "only" | "shown" | "folded";
  readonly signedIn?: SignOutProps & SignInNoticeProps;
}

interface DocumentProps {
  readonly name: PageName;
  readonly title: string;
  /** The pages in the navigation. */
  readonly pages: readonly PageName[];
  readonly view: PageView;
  readonly isBuilt: boolean;
  readonly nonce: string;
}

export const PAGE_PATHS: Readonly<Record<PageName, string>> = {
  console: "/",
  chat: "/chat",
  call: "/call",
  drop: "/drop",
  dashboard: "/dashboard",
  lab: "/lab",
};

const DOCS_INDEX = "/docs/README.md";

/** The labels in the navigation. */
const PAGE_LABELS: Readonly<Record<PageName, string>> = {
  console: "Console",
  chat: "Chat",
  call: "Call",
  drop: "Drop",
  dashboard: "Dashboard",
  lab: "Lab",
};

interface DocsProps {
  /** A rendered page of docs/. */
  readonly html: string;
  readonly pages: readonly PageName[];
  readonly nonce: string;
}

/** Renders a page of the documentation. */
export function DocsDocument({ html, pages, nonce }: DocsProps): JSX.Element {
  return (
    <html lang="en">
      <Head title="Documentation" nonce={nonce} />
      <body>
        <Header pages={pages} />
        <main>
          <nav aria-label="Documentation">
            <a href={DOCS_INDEX}>All pages</a> · <a href="/docs/api">API reference</a>
          </nav>
          <article class="card doc" dangerouslySetInnerHTML={{ __html: html }} />
        </main>
      </body>
    </html>
  );
}

interface HeadProps {
  readonly title: string;
  readonly nonce: string;
  readonly children?: ComponentChildren;
}

function Head({ title, nonce, children }: HeadProps): JSX.Element {
  return (
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${title} · Weir`}</title>
      <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="/assets/base.css" nonce={nonce} />
      {children}
    </head>
  );
}

/** Renders the document: the head and navigation that pages share, and the page's island. */
export function Document(
  { name, title, pages, view, isBuilt, nonce }: DocumentProps,
): JSX.Element {
  const { island, error, signIn } = view;
  return (
    <html lang="en">
      <Head title={title} nonce={nonce}>
        <link rel="stylesheet" href={`/assets/${name}.css`} nonce={nonce} />
        {isBuilt && <script type="module" src={`/assets/${name}.js`} nonce={nonce}></script>}
      </Head>
      <body>
        <Header name={name} pages={pages} view={view} />
        {view.signedIn !== undefined && island !== undefined && (
          <SignInNoticeIsland expiresIn={view.signedIn.expiresIn} />
        )}
        <main>
          {island === undefined && <h1 class="hidden-visually">{title}</h1>}
          {error !== undefined && signIn !== "only" && (
            <p class="card problem" role="alert">{error}</p>
          )}
          {!isBuilt && (
            <p class="card problem">
              This page is not live because its script is not built. Run{" "}
              <code>deno task build</code>.
            </p>
          )}
          <noscript>
            <p class="card problem">
              Turn on JavaScript to see live updates and to sign in.
            </p>
          </noscript>
          {signIn === "only" && <SignInIsland {...error !== undefined && { problem: error }} />}
          {signIn === "shown" && <SignInIsland />}
          {island !== undefined && (
            <div id={ISLAND_ID} data-props={JSON.stringify(island.props)}>{island.rendered}</div>
          )}
        </main>
      </body>
    </html>
  );
}

interface HeaderProps {
  readonly pages: readonly PageName[];
  /** The current page; undefined in the documentation. */
  readonly name?: PageName;
  readonly view?: PageView;
}

function Header({ name, pages, view = { status: 200 } }: HeaderProps): JSX.Element {
  return (
    <header class="bar">
      <a class="brand" href={PAGE_PATHS[pages[0] ?? "console"]}>
        <img src="/assets/icon.svg" alt="" width="24" height="24" />
        <span>Weir</span>
        <small>{VERSION}</small>
      </a>
      <nav aria-label="Pages">
        {pages.map((page) => (
          <a href={PAGE_PATHS[page]} {...page === name && { "aria-current": "page" }}>
            {PAGE_LABELS[page]}
          </a>
        ))}
        <a href={DOCS_INDEX} {...name === undefined && { "aria-current": "page" }}>Docs</a>
      </nav>
      {view.signedIn !== undefined && <SignOutIsland subject={view.signedIn.subject} />}
      {view.signIn === "folded" && (
        <details class="visitor">
          <summary>Sign in</summary>
          <SignInIsland />
        </details>
      )}
    </header>
  );
}

function SignInNoticeIsland(props: SignInNoticeProps): JSX.Element {
  return (
    <div id={SIGN_IN_NOTICE_ID} data-props={JSON.stringify(props)}>
      <SignInNotice {...props} />
    </div>
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
