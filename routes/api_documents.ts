import type { Server } from "../lib/server.ts";
import type { AppContext } from "./context.ts";

interface JsonDocument {
  readonly text: string;
  /** A strong validator (RFC 9110 §8.8.3). */
  readonly etag: string;
}

/** The documents of each server, from the first request for one on. */
const openApis = new WeakMap<Server["config"], Promise<JsonDocument>>();
/** The same for all servers. */
let asyncApiDocument: Promise<JsonDocument> | undefined;

/** `GET /openapi.json`: describes the routes in OpenAPI. */
export async function getOpenApi(
  c: AppContext,
  { access, config }: Pick<Server, "access" | "config">,
): Promise<Response> {
  let document = openApis.get(config);
  if (document === undefined) {
    document = import("./api_description/openapi.ts").then(({ openApi }) =>
      documentOf(openApi({
        isOpen: access.isOpen,
        hasAnonymous: access.anonymous !== undefined,
        pages: config.pages,
      }))
    );
    openApis.set(config, document);
  }
  return answer(c, await document);
}

/** `GET /asyncapi.json`: describes the messages of connections in AsyncAPI. */
export async function getAsyncApi(c: AppContext): Promise<Response> {
  asyncApiDocument ??= import("./api_description/asyncapi.ts").then(({ asyncApi }) =>
    documentOf(asyncApi())
  );
  return answer(c, await asyncApiDocument);
}

async function documentOf(value: object): Promise<JsonDocument> {
  const text = JSON.stringify(value);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return { text, etag: `"${new Uint8Array(digest).toHex().slice(0, 32)}"` };
}

function answer(c: AppContext, { text, etag }: JsonDocument): Response {
  const headers = {
    "Cache-Control": "no-cache",
    "Content-Type": "application/json",
    "ETag": etag,
    "X-Content-Type-Options": "nosniff",
  };
  const known = c.req.raw.headers.get("if-none-match")?.split(",").map((tag) => tag.trim()) ?? [];
  return known.includes(etag)
    ? new Response(null, { status: 304, headers })
    : new Response(text, { headers });
}
