// The descriptions of the routes that answer with descriptions and documentation. Their handlers, in
// `api_documents.ts` and `docs_page.tsx`, import this folder, so it cannot import them.
import type { RouteDescription } from "./route_description.ts";

export const getOpenApiDescription: RouteDescription = {
  id: "getOpenApi",
  tag: "Server",
  summary: "Get this description",
  text: "OpenAPI 3.1 of the routes that this server has.",
  needsCredential: false,
  headers: ["If-None-Match"],
  answers: {
    200: { text: "The description.", json: "OpenApi", headers: ["ETag"] },
    304: { text: "The description has not changed.", headers: ["ETag"] },
  },
  problems: [],
};

export const getAsyncApiDescription: RouteDescription = {
  ...getOpenApiDescription,
  id: "getAsyncApi",
  summary: "Get the description of messages",
  text: "AsyncAPI 3 of the messages of WebSockets and the events of streams.",
  answers: {
    ...getOpenApiDescription.answers,
    200: { text: "The description.", json: "AsyncApi", headers: ["ETag"] },
  },
};

export const getDocDescription: RouteDescription = {
  id: "getDocs",
  tag: "Pages",
  summary: "Get a page of the documentation",
  text:
    "`api` is the reference of routes and messages. Others are files: as Markdown; as HTML if `Accept` has `text/html`, as that of browsers.",
  needsCredential: false,
  path: { path: { text: "The page.", schema: { type: "string" }, example: "protocol.md" } },
  headers: ["Accept"],
  answers: {
    200: {
      text: "The page.",
      other: { "text/html": "For people.", "text/markdown": "For programs." },
    },
  },
  problems: ["not_found"],
};

export const getLlmsDescription: RouteDescription = {
  id: "getLlms",
  tag: "Pages",
  summary: "List the documentation, for language models",
  text: "In the form of llmstxt.org.",
  needsCredential: false,
  answers: { 200: { text: "The list.", other: { "text/plain": "Markdown." } } },
  problems: ["not_found"],
};
