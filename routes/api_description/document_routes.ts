// The descriptions of the routes that answer with descriptions. Their handlers are in
// `api_documents.ts`, which this folder cannot import.
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
