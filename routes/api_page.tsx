import { renderToString } from "preact-render-to-string";
import type { Server } from "../lib/server.ts";
import type { AppContext } from "./context.ts";
import { hostOf, isHttps } from "./origin.ts";
import { newNonce, pageHeaders, policy } from "./page.tsx";
import { DocsDocument } from "./page_markup.tsx";

/** `GET /docs/api`: the reference of routes and messages. It needs no scripts. */
export async function getApiPage(
  c: AppContext,
  { access, config }: Pick<Server, "access" | "config">,
): Promise<Response> {
  const { ApiReference } = await import("./api_description/reference.tsx");
  const request = c.req.raw;
  const origin = `${isHttps(request, config) ? "https" : "http"}://${hostOf(request)}`;
  const html = renderToString(<ApiReference origin={origin} isOpen={access.isOpen} />);
  const nonce = newNonce();
  const { pages } = config;
  return new Response(
    `<!doctype html>\n${renderToString(<DocsDocument {...{ html, pages, nonce }} />)}`,
    { headers: { ...pageHeaders(), "Content-Security-Policy": policy(nonce) } },
  );
}
