import { z } from "zod";
import { PAGE_NAMES, type PageName } from "../../lib/pages.ts";
import { publication } from "../../lib/publish/draft.ts";
import { type ProblemCode, statusOf } from "../../lib/shared/problem_codes.ts";
import { VERSION } from "../../lib/version.ts";
import { PAGE_PATHS } from "../page_markup.tsx";
import { TITLES } from "../problem.ts";
import { REQUEST_HEADERS, RESPONSE_HEADERS, type ResponseHeader } from "./headers.ts";
import type { Meaning } from "./meaning.ts";
import { PUBLICATION } from "./names.ts";
import { EVERYWHERE } from "./problem_groups.ts";
import type {
  Answer,
  DescribedSchema,
  JsonBody,
  RouteDescription,
  SchemaName,
  Tag,
} from "./route_description.ts";
import { ROUTES } from "./routes.ts";
import { schemas } from "./schemas.ts";

/** What differs between servers. */
interface ApiOptions {
  /** Whether everyone may do everything, without a credential. */
  readonly isOpen: boolean;
  /** Whether requests without a credential have some rights. */
  readonly hasAnonymous: boolean;
  /** The pages that the server has. */
  readonly pages: readonly PageName[];
}

type Json = Record<string, unknown>;

/** What the routes with a tag are for. */
export const TAGS: Readonly<Record<Tag, string>> = {
  Publish: "Store events, or send ephemeral ones.",
  Read: "Pages, long polls and streams of events.",
  Channels: "List, configure and delete channels.",
  Presence: "Who is in a channel, and signals between them.",
  Credentials: "Tickets, the session cookie, and credentials of open streams.",
  Administration: "API keys and revocations. Open mode refuses them.",
  Server: "The server itself.",
  Pages: "What people open in a browser.",
};

const INFO = `Weir keeps every event in a durable log and streams it to subscribers.

- Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`. A path without a resource answers 404 \`not_found\`, another method 405 \`method_not_allowed\` with \`Allow\`.
- HEAD is answered wherever GET is.
- Clients must ignore members, headers and codes that they do not know.
- The messages of WebSockets and the events of streams are in [\`/asyncapi.json\`](/asyncapi.json). What everything means is in [the protocol](/docs/protocol.md).`;

/** Returns the description of Weir's routes in OpenAPI 3.1. */
export function openApi(options: ApiOptions): Json {
  const missing = new Set<string>(
    PAGE_NAMES.filter((page) => !options.pages.includes(page)).map((page) => PAGE_PATHS[page]),
  );
  const paths: Record<string, Json> = {};
  for (const [path, methods] of Object.entries(ROUTES)) {
    if (missing.has(path) || (isDocs(path) && options.pages.length === 0)) continue;
    const operations: Json = {};
    for (const [method, description] of Object.entries(methods)) {
      operations[method.toLowerCase()] = operation(description, options);
    }
    paths[openApiPath(path)] = operations;
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Weir",
      version: VERSION,
      description: INFO,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "This server." }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: componentSchemas(),
      headers: mapValues(RESPONSE_HEADERS, headerObject),
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A token (JWT), or an API key, which starts with `weir_`.",
        },
        ticket: {
          type: "apiKey",
          in: "query",
          name: "ticket",
          description: "A ticket of `POST /v1/tickets`. It can be used once, within 30 s.",
        },
        cookie: {
          type: "apiKey",
          in: "cookie",
          name: "__Host-weir",
          description:
            "The session cookie; without TLS its name is `weir`. Requests that change something need an allowed `Origin` too.",
        },
      },
    },
  };
}

/** Returns whether a path leads to documentation, which servers without pages don't have. */
function isDocs(path: string): boolean {
  return path === "/llms.txt" || path.startsWith("/docs/");
}

/** Returns a path as OpenAPI has it: `/v1/channels/{channel}`. */
export function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}");
}

function operation(description: RouteDescription, options: ApiOptions): Json {
  const { id, tag, summary, text, body, needsBody } = description;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...text !== undefined && { description: text },
    parameters: parametersOf(description),
    ...body !== undefined && {
      requestBody: {
        required: needsBody === true,
        content: mapValues(body, (content) =>
          "plain" in content
            ? {
              schema: { ...content.plain, description: content.text },
              ...content.example !== undefined && { example: content.example },
            }
            : { schema: ref(content.name), example: content.example }),
      },
    },
    responses: responsesOf(description),
    security: securityOf(description, options),
  };
}

function securityOf(
  { needsCredential, takesTicket }: RouteDescription,
  { isOpen, hasAnonymous }: ApiOptions,
): readonly Json[] {
  if (isOpen || (!needsCredential && takesTicket !== true)) return [];
  return [
    { bearer: [] },
    ...takesTicket === true ? [{ ticket: [] }] : [],
    { cookie: [] },
    ...hasAnonymous || !needsCredential ? [{}] : [],
  ];
}

function parametersOf(
  { path = {}, query, lists = {}, headers = [], neededHeaders = [] }: RouteDescription,
): readonly Json[] {
  return [
    ...Object.entries(path).map(([name, meaning]) => ({
      name,
      in: "path",
      required: true,
      ...parameter(meaning, {}),
    })),
    ...Object.entries(lists).map(([name, { schema = {}, ...meaning }]) => ({
      name,
      in: "query",
      required: true,
      ...parameter(meaning, { type: "array", items: schema, minItems: 1, maxItems: 100 }),
      ...meaning.example !== undefined && { example: [meaning.example] },
    })),
    ...query === undefined ? [] : queryParameters(query),
    ...headers.filter((name) => !STANDARD_HEADERS.includes(name)).map((name) => ({
      name,
      in: "header",
      required: neededHeaders.includes(name),
      ...parameter(REQUEST_HEADERS[name], {}),
    })),
  ];
}

/** The forms of an event that is published as JSON. */
const PUBLICATIONS = ["Publication", "EphemeralPublication"] as const;

/** OpenAPI says these by media types and security, and has them nowhere else. */
const STANDARD_HEADERS: readonly string[] = ["Accept", "Content-Type"];

function queryParameters(query: DescribedSchema): readonly Json[] {
  const { properties = {}, required = [] } = schemaOf(query) as {
    readonly properties?: Record<string, Json>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, example, ...schema }]) => ({
    name,
    in: "query",
    required: required.includes(name),
    description,
    schema,
    ...example !== undefined && { example },
  }));
}

function parameter({ text, schema = {}, example }: Meaning, base: Json): Json {
  return {
    description: text,
    schema: { ...base, ...schema },
    ...example !== undefined && { example },
  };
}

function headerObject({ text, schema, example }: Meaning): Json {
  return { description: text, schema, ...example !== undefined && { example } };
}

function responsesOf({ answers, problems }: RouteDescription): Json {
  const responses = new Map<number, Json>();
  for (const [status, answer] of Object.entries(answers)) {
    responses.set(Number(status), answerResponse(answer));
  }
  for (const [status, codes] of byStatus([...EVERYWHERE, ...problems])) {
    const response = problemResponse(status, codes);
    const page = responses.get(status); // a page says in HTML what is wrong
    responses.set(status, page === undefined ? response : mergedResponse(page, response));
  }
  return Object.fromEntries([...responses].sort(([a], [b]) => a - b));
}

function mergedResponse(a: Json, b: Json): Json {
  return {
    ...a,
    headers: { ...a["headers"] as Json, ...b["headers"] as Json },
    content: { ...a["content"] as Json, ...b["content"] as Json },
  };
}

function answerResponse({ text, json, other, headers = [] }: Answer): Json {
  const content: Json = {};
  if (json !== undefined) content["application/json"] = { schema: answerSchema(json) };
  for (const [mediaType, description] of Object.entries(other ?? {})) {
    content[mediaType] = { schema: { type: "string", description } };
  }
  return {
    description: text,
    ...headers.length > 0 && { headers: headersOf(headers) },
    ...Object.keys(content).length > 0 && { content },
  };
}

function answerSchema(json: SchemaName | readonly SchemaName[]): Json {
  return typeof json === "string" ? ref(json) : { anyOf: json.map(ref) };
}

function problemResponse(status: number, codes: readonly ProblemCode[]): Json {
  const list = codes.map((code) => `\`${code}\``).join(", ");
  return {
    description: `${TITLES[status]}: ${list}.`,
    ...headersOfProblem(status).length > 0 && { headers: headersOf(headersOfProblem(status)) },
    content: {
      "application/problem+json": {
        schema: {
          allOf: [
            ref("Problem"),
            { type: "object", properties: { code: { type: "string", enum: codes } } },
          ],
        },
      },
    },
  };
}

/** Returns the headers of refusals with this status. */
export function headersOfProblem(status: number): readonly ResponseHeader[] {
  if (status === 401) return ["WWW-Authenticate"];
  if (status === 405) return ["Allow"];
  if (status === 426) return ["Upgrade"];
  if (status === 429) return ["Retry-After", "RateLimit", "RateLimit-Policy"];
  return status === 503 || status === 507 ? ["Retry-After"] : [];
}

/** Groups refusals by their status. */
export function byStatus(
  codes: readonly ProblemCode[],
): ReadonlyMap<number, readonly ProblemCode[]> {
  return Map.groupBy([...new Set(codes)].sort(), statusOf);
}

function headersOf(names: readonly ResponseHeader[]): Json {
  return Object.fromEntries(
    names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

function ref(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

function componentSchemas(): Json {
  const { Publication, EphemeralPublication } = publicationSchemas();
  const bodies = new Map<string, Json>();
  for (const methods of Object.values(ROUTES)) {
    for (const { body = {} } of Object.values(methods)) {
      for (const content of Object.values(body)) {
        if (!("plain" in content)) bodies.set(content.name, bodySchema(content));
      }
    }
  }
  return {
    Publication,
    EphemeralPublication,
    ...Object.fromEntries(bodies),
    ...answerSchemas(),
  };
}

/** Returns the two forms of an event that is published as JSON. One Zod schema parses both. */
export function publicationSchemas(): { readonly [name in typeof PUBLICATIONS[number]]: Json } {
  const { properties, ...rest } = schemaOf({ schema: publication, members: PUBLICATION }) as {
    readonly properties: Readonly<Record<keyof typeof PUBLICATION, Json>>;
  };
  const { ephemeral, ...stored } = properties;
  const { id: _id, key: _key, ttl: _ttl, ...unstored } = stored;
  const required = ["channel", "data"];
  return {
    Publication: {
      ...rest,
      description: "An event to store.",
      properties: { ...stored, ephemeral: { type: "boolean", const: false } },
      required,
    },
    EphemeralPublication: {
      ...rest,
      description:
        "An event that current subscribers receive and that is never stored. It is published alone.",
      properties: { ...unstored, ephemeral: { ...ephemeral, const: true } },
      required: [...required, "ephemeral"],
    },
  };
}

function bodySchema(body: JsonBody): Json {
  const { anyOf, ...schema } = schemaOf(body);
  if (anyOf === undefined) return { ...schema, ...body.constraints };
  const [_publication, ...forms] = anyOf as readonly Json[];
  return { ...schema, anyOf: [...PUBLICATIONS.map(ref), ...forms] };
}

/** Returns the schemas of answers, which refer to each other by name. */
export function answerSchemas(): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, {
    uri: (id) => ref(id).$ref,
    override: ({ jsonSchema }) => {
      delete jsonSchema.additionalProperties; // members may be added
    },
  });
  return mapValues(converted.schemas, withoutIds) as Record<string, Json>;
}

/** Returns the JSON Schema of what a handler parses, with what its members mean. */
export function schemaOf({ schema, members }: DescribedSchema): Json {
  const converted = withoutIds(
    z.toJSONSchema(schema, {
      io: "input",
      override: ({ jsonSchema }) => {
        // Generators take members with a default for required.
        delete jsonSchema.default;
        // A number in a query is matched as text.
        if (jsonSchema.type === "integer") delete jsonSchema.pattern;
      },
    }),
  );
  addMeanings(converted, members, "");
  return converted;
}

/** Adds the meanings to the members of an object, or of each form that it may have. */
function addMeanings(
  schema: Json,
  members: Readonly<Record<string, Meaning>>,
  prefix: string,
): void {
  const { properties = {}, anyOf = [] } = schema as {
    readonly properties?: Record<string, Json>;
    readonly anyOf?: readonly Json[];
  };
  for (const form of anyOf) addMeanings(form, members, prefix);
  for (const [name, property] of Object.entries(properties)) {
    const meaning = members[`${prefix}${name}`];
    if (meaning !== undefined) {
      const { text, schema: constraints, example } = meaning;
      Object.assign(
        property,
        { description: text },
        constraints,
        example !== undefined && { example },
      );
    }
    addMeanings(property, members, `${prefix}${name}.`);
  }
}

function withoutIds(schema: object): Json {
  const { $schema: _schema, $id: _id, "~standard": _standard, ...rest } = schema as Json;
  return rest;
}

function mapValues<From, To>(
  object: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
