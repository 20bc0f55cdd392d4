import { renderToString } from "preact-render-to-string";
import { readDoc, readDocList } from "../lib/assets.ts";
import type { Server } from "../lib/server.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { getApiPage } from "./api_page.tsx";
import type { AppContext } from "./context.ts";
import { newNonce, pageHeaders, policy } from "./page.tsx";
import { DocsDocument } from "./page_markup.tsx";

/**
 * `GET /docs/{path}.md`: a page of the documentation, which `deno task build` has rendered. Browsers
 * get HTML; clients whose `Accept` does not name it get Markdown. `GET /docs/api` is the reference.
 */
export async function getDoc(c: AppContext, server: Server): Promise<Response> {
  if (c.req.param("path") === "api") return await getApiPage(c, server);
  const path = /^(.+)\.md$/.exec(c.req.param("path") ?? "")?.[1] ?? "";
  const accept = c.req.raw.headers.get("accept") ?? "text/html";
  if (!accept.includes("text/html")) {
    return textResponse(required(await readDoc(path, "md"), c), "text/markdown");
  }
  const html = required(await readDoc(path, "html"), c);
  const nonce = newNonce();
  const { pages } = server.config;
  return new Response(
    `<!doctype html>\n${renderToString(<DocsDocument {...{ html, pages, nonce }} />)}`,
    {
      headers: { ...pageHeaders(), "Content-Security-Policy": policy(nonce), "Vary": "Accept" },
    },
  );
}

/** `GET /llms.txt`: the list of all pages of the documentation, as Markdown. */
export async function getLlms(c: AppContext): Promise<Response> {
  return textResponse(required(await readDocList(), c), "text/plain");
}

/** @throws {Problem} `not_found` */
function required(text: string | undefined, c: AppContext): string {
  if (text !== undefined) return text;
  throw new Problem("not_found", `No resource ${quote(c.req.path)}.`);
}

function textResponse(text: string, type: "text/markdown" | "text/plain"): Response {
  return new Response(text, {
    headers: {
      "Cache-Control": "no-cache",
      "Content-Type": `${type}; charset=utf-8`,
      "Vary": "Accept",
      "X-Content-Type-Options": "nosniff",
    },
  });
}
