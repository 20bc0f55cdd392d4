import type { PageName } from "../lib/pages.ts";
import type { Server } from "../lib/server.ts";
import { CREDENTIAL, STORE_READ } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import { callPage } from "./call_page.ts";
import { chatPage } from "./chat_page.ts";
import { consolePage } from "./console_page.ts";
import type { AppContext } from "./context.ts";
import { dashboardPage } from "./dashboard_page.ts";
import { dropPage } from "./drop_page.ts";
import { labPage } from "./lab_page.ts";
import { pageHandler } from "./page.tsx";
import { PAGE_PATHS } from "./page_markup.tsx";

type PageHandler = (c: AppContext, server: Server) => Promise<Response>;

const HANDLERS: Readonly<Record<PageName, PageHandler>> = {
  console: pageHandler(consolePage),
  chat: pageHandler(chatPage),
  call: pageHandler(callPage),
  drop: pageHandler(dropPage),
  dashboard: pageHandler(dashboardPage),
  lab: pageHandler(labPage),
};

/** Returns the descriptions of all pages, by path. */
export function pageDescriptions(): Readonly<Record<string, { readonly GET: RouteDescription }>> {
  const channel = { text: "The channel to show.", example: "orders" };
  const room = { text: "The room to show.", example: "lobby" };
  const all: Readonly<Record<PageName, RouteDescription>> = {
    console: describedPage(
      "Console",
      described(consolePage.query, {
        channel,
        event: { text: "The offset of the event to show." },
      }),
    ),
    chat: describedPage("Chat", described(chatPage.query, { room })),
    call: describedPage("Call", described(callPage.query, { room })),
    drop: describedPage("Drop", described(dropPage.query, { room })),
    dashboard: describedPage("Dashboard", described(dashboardPage.query, {})),
    lab: describedPage("Lab", described(labPage.query, { channel })),
  };
  return Object.fromEntries(
    Object.entries(all).map(([name, page]) => [PAGE_PATHS[name as PageName], { GET: page }]),
  );
}

function describedPage(title: string, query: RouteDescription["query"]): RouteDescription {
  const html = (text: string) => ({ text, other: { "text/html": "The page." } });
  return {
    id: `show${title}`,
    tag: "Pages",
    summary: `Show the page ${title}`,
    text: "Takes the session cookie. Without a credential the page asks for a token.",
    needsCredential: false,
    ...query !== undefined && { query },
    takesTicket: true,
    answers: {
      200: html("The page."),
      400: html("The page, with what is wrong with the request."),
      401: {
        ...html("The page that asks for a token."),
        headers: ["WWW-Authenticate"],
      },
      403: html("The page, with why it shows nothing."),
      429: {
        ...html("The page, with the limit."),
        headers: ["Retry-After", "RateLimit", "RateLimit-Policy"],
      },
    },
    problems: [...CREDENTIAL, ...STORE_READ],
  };
}

/** Returns the handlers of these pages, by path. */
export function pageResources(
  pages: readonly PageName[],
): Readonly<Record<string, { readonly GET: PageHandler }>> {
  return Object.fromEntries(pages.map((page) => [PAGE_PATHS[page], { GET: HANDLERS[page] }]));
}
