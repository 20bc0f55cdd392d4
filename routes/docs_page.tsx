import { renderToString } from "preact-render-to-string";
import { readDoc } from "../lib/assets.ts";
import type { Server } from "../lib/server.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { AppContext } from "./context.ts";
import { newNonce, pageHeaders, policy } from "./page.tsx";
import { DocsDocument } from "./page_markup.tsx";

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
