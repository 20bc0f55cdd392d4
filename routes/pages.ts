import type { PageName } from "../lib/pages.ts";
import type { Server } from "../lib/server.ts";
import { callPage } from "./call_page.ts";
import { chatPage } from "./chat_page.ts";
import { consolePage } from "./console_page.ts";
import type { AppContext } from "./context.ts";
import { dashboardPage } from "./dashboard_page.ts";
import { getDoc } from "./docs_page.tsx";
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

const DOCS_PATH = "/docs/:path{.+}";

/** Returns the handlers of these pages and of the documentation that they link to, by path. */
export function pageResources(
  pages: readonly PageName[],
): Readonly<Record<string, { readonly GET: PageHandler }>> {
  const docs = pages.length > 0 && { [DOCS_PATH]: { GET: getDoc } };
  return {
    ...Object.fromEntries(pages.map((page) => [PAGE_PATHS[page], { GET: HANDLERS[page] }])),
    ...docs,
  };
}
