import { renderToString } from "preact-render-to-string";
import { readDoc } from "../lib/assets.ts";
import type { Server } from "../lib/server.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { newNonce, pageHeaders, policy } from "./page.tsx";
import { DocsDocument } from "./page_markup.tsx";

export const getDocDescription: RouteDescription = {
  id: "getDocs",
  tag: "Pages",
  summary: "Show a page of the documentation",
  needsCredential: false,
  path: { path: { text: "The page.", schema: { type: "string" }, example: "protocol.md" } },
  answers: { 200: { text: "The page.", other: { "text/html": "The page." } } },
  problems: ["not_found"],
};

/** `GET /docs/{path}.md`: a page of the documentation, which `deno task build` has rendered. */
export async function getDoc(c: AppContext, server: Server): Promise<Response> {
  const path = /^(.+)\.md$/.exec(c.req.param("path") ?? "")?.[1] ?? "";
  const html = await readDoc(path);
  if (html === undefined) throw new Problem("not_found", `No resource ${quote(c.req.path)}.`);
  const nonce = newNonce();
  const { pages } = server.config;
  return new Response(
    `<!doctype html>\n${renderToString(<DocsDocument {...{ html, pages, nonce }} />)}`,
    { headers: { ...pageHeaders(), "Content-Security-Policy": policy(nonce) } },
  );
}
