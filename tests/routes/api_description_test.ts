import { validate } from "@readme/openapi-parser";
import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { openServer, type Server } from "../../lib/server.ts";
import { PROBLEMS } from "../../lib/shared/problem_codes.ts";
import { createApp } from "../../routes/app.ts";
import { REQUEST_HEADERS, RESPONSE_HEADERS } from "../../routes/api_description/headers.ts";
import { openApi, openApiPath, schemaOf } from "../../routes/api_description/openapi.ts";
import { EVERYWHERE } from "../../routes/api_description/problem_groups.ts";
import type { RouteDescription } from "../../routes/api_description/route_description.ts";
import { ROUTES } from "../../routes/api_description/routes.ts";
import { PAGE_NAMES } from "../../lib/pages.ts";
import { jwksOf, makeSigner } from "../support/tokens.ts";
import "../support/open_broadcast_channel.ts";

/** Codes of refusals that no route of its own has. */
const MESSAGE_CODES = [
  "bad_frame",
  "bad_message",
  "bad_op",
  "frame_too_large",
  "not_subscribed",
  "subscribed_already",
];

/** Headers that CORS lists and routes do not read themselves, or that browsers always send. */
const UNLISTED_HEADERS = [
  "accept",
  "authorization",
  "sec-websocket-protocol",
  "tracestate", // OpenTelemetry sends it next to traceparent
  "upgrade",
];

const DESCRIPTION = openApi({ isOpen: false, hasAnonymous: false, pages: PAGE_NAMES });

interface Route {
  readonly path: string;
  readonly method: string;
  readonly description: RouteDescription;
}

const ALL: readonly Route[] = Object.entries(ROUTES).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, description]) => ({ path, method, description }))
);

type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

/** Runs `test` with the routes of a server in memory, in open mode unless it has keys. */
async function withApp(
  test: (app: ReturnType<typeof createApp>, fetch: Fetch) => Promise<void> | void,
  keys: Readonly<Record<string, string>> = {},
): Promise<void> {
  const config = parseConfig({ WEIR_KV: ":memory:", WEIR_PAGES: "all", ...keys });
  const server: Server = await openServer(config, { info() {}, warn() {}, error() {} });
  const app = createApp(server);
  try {
    await test(app, async (path, init) => {
      return await app.fetch(new Request(`http://127.0.0.1:8000${path}`, init));
    });
  } finally {
    await server.close();
  }
}

Deno.test("every route has a description, and every description a route", async () => {
  await withApp((app) => {
    const routes = app.routes.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(
      ALL.map(({ method, path }) => `${method} ${path}`).toSorted(),
      routes.toSorted(),
    );
  });
});

Deno.test("every query parameter that a route takes is described, and no other", async () => {
  const signer = await makeSigner("EdDSA");
  const rights = { subscribe: ["**"], publish: ["**"], presence: ["**"], manage: ["**"] };
  const token = await signer.sign({ sub: "ann", weir: { ...rights, admin: true } });
  const headers = { Authorization: `Bearer ${token}` };
  await withApp(async (_app, fetch) => {
    for (const { path, method, description } of ALL) {
      const { query, lists = {}, path: names = {}, takesTicket, id, tag } = description;
      if (query === undefined || tag === "Pages") continue;
      let url = path;
      for (const [name, { example }] of Object.entries(names)) {
        url = url.replace(`:${name}`, encodeURIComponent(String(example)));
      }
      const response = await fetch(`${url}?unheard_of=1`, { method, headers });
      const problem = await response.json();
      assert.equal(problem.code, "unknown_parameter", id);
      const [, list = ""] = /Allowed: (.+)\.$/.exec(problem.detail) ?? [];
      const described = [
        ...Object.keys(query.members),
        ...Object.keys(lists),
        ...takesTicket === true ? ["ticket"] : [],
      ];
      assert.deepEqual(
        list === "none" ? [] : list.split(", ").toSorted(),
        described.toSorted(),
        id,
      );
    }
  }, { WEIR_JWKS: jwksOf(signer) });
});

Deno.test("every path has the parameters that it names", () => {
  for (const { path, description: { path: names = {}, id } } of ALL) {
    const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
    assert.deepEqual(Object.keys(names), inPath, id);
  }
});

Deno.test("every code is the refusal of some route or message", () => {
  const described = new Set<string>([
    ...EVERYWHERE,
    ...ALL.flatMap(({ description }) => description.problems),
    ...MESSAGE_CODES,
    "method_not_allowed", // of paths, not of routes; the text of the description has it
  ]);
  assert.deepEqual([...described].toSorted(), Object.keys(PROBLEMS).toSorted());
  assert.match(JSON.stringify(DESCRIPTION["info"]), /method_not_allowed/);
});

Deno.test("pages of other origins may send and read every header that is described", async () => {
  await withApp(async (_app, fetch) => {
    const origin = "http://localhost:3000";
    const preflight = await fetch("/v1/events", { method: "OPTIONS", headers: { origin } });
    const answer = await fetch("/healthz", { headers: { origin } });
    const listOf = (response: Response, name: string) =>
      (response.headers.get(name) ?? "").toLowerCase().split(", ");
    const allowed = listOf(preflight, "access-control-allow-headers");
    const described = Object.keys(REQUEST_HEADERS).map((name) => name.toLowerCase());
    assert.deepEqual(
      allowed.filter((name) => !UNLISTED_HEADERS.includes(name)).toSorted(),
      described.filter((name) => !UNLISTED_HEADERS.includes(name)).toSorted(),
    );
    const exposed = listOf(answer, "access-control-expose-headers");
    // Scripts may not read cookies, and need no headers about methods and protocols.
    const hidden = ["allow", "set-cookie", "upgrade"];
    assert.deepEqual(
      exposed.toSorted(),
      Object.keys(RESPONSE_HEADERS).map((name) => name.toLowerCase())
        .filter((name) => !hidden.includes(name)).toSorted(),
    );
  });
});

Deno.test("every header in the tables is that of some route", () => {
  const read = new Set(ALL.flatMap(({ description }) => description.headers ?? []));
  assert.deepEqual([...read].toSorted(), Object.keys(REQUEST_HEADERS).toSorted());
});

Deno.test("every member of a body or query has a meaning, and every meaning a member", () => {
  for (const { description } of ALL) {
    const { id, query, body = {} } = description;
    const parsed = [
      ...query === undefined ? [] : [query],
      ...Object.values(body).flatMap((content) => "plain" in content ? [] : [content]),
    ];
    for (const described of parsed) {
      const names = memberNames(schemaOf(described));
      assert.deepEqual(names, Object.keys(described.members).toSorted(), id);
    }
  }
});

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, ObjectSchema>>;
  readonly anyOf?: readonly ObjectSchema[];
}

/** Returns the names of members, and of members of members. */
function memberNames({ properties = {}, anyOf = [] }: ObjectSchema): readonly string[] {
  const names = anyOf.flatMap(memberNames);
  for (const [name, member] of Object.entries(properties)) {
    names.push(name, ...memberNames(member).map((inner) => `${name}.${inner}`));
  }
  return [...new Set(names)].toSorted();
}

Deno.test("the description is valid OpenAPI 3.1", async () => {
  const text = JSON.stringify(DESCRIPTION);
  const result = await validate(JSON.parse(text));
  assert.deepEqual({ ...result, warnings: [] }, {
    valid: true,
    warnings: [],
    specification: "OpenAPI",
  });
});

Deno.test("a description with a mistake is not valid", async () => {
  const wrong = structuredClone(DESCRIPTION) as { paths: Record<string, unknown> };
  wrong.paths["/wrong"] = { get: { responses: { 200: {} } } };
  const { valid } = await validate(wrong as unknown as Parameters<typeof validate>[0]);
  assert.equal(valid, false);
});

Deno.test("every example is what its schema allows", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: "weir:api", ...DESCRIPTION });
  let examples = 0;
  const requireValid = (pointer: string, example: unknown, where: string) => {
    const isValid = ajv.validate({ $ref: `weir:api#${pointer}` }, example);
    assert.ok(isValid, `${where}: ${ajv.errorsText()}`);
    examples++;
  };
  visit(DESCRIPTION, "", (value, pointer) => {
    const { schema, example, examples: list } = value;
    if (schema !== undefined && example !== undefined) {
      requireValid(`${pointer}/schema`, example, pointer);
    }
    if (Array.isArray(list)) { for (const one of list) requireValid(pointer, one, pointer); }
  });
  assert.ok(examples > 30, `only ${examples} examples`);
});

/** Calls `found` with each object and its JSON pointer, as a fragment of a URI. */
function visit(
  value: unknown,
  pointer: string,
  found: (value: Record<string, unknown>, pointer: string) => void,
): void {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) found(value as Record<string, unknown>, pointer);
  for (const [key, inner] of Object.entries(value)) {
    const part = encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1"));
    visit(inner, `${pointer}/${part}`, found);
  }
}

Deno.test("operations have names of their own, and clients need no credential of an open server", () => {
  const ids = ALL.map(({ description }) => description.id);
  assert.equal(new Set(ids).size, ids.length);
  const open = openApi({ isOpen: true, hasAnonymous: true, pages: [] });
  const paths = open["paths"] as Record<string, Record<string, { security: unknown[] }>>;
  for (const operations of Object.values(paths)) {
    for (const { security } of Object.values(operations)) assert.deepEqual(security, []);
  }
});

Deno.test("a server describes the pages that it has", async () => {
  const described = Object.keys(DESCRIPTION["paths"] as object);
  assert.deepEqual(described, Object.keys(ROUTES).map(openApiPath));
  const none = openApi({ isOpen: false, hasAnonymous: false, pages: ["console"] });
  const paths = Object.keys(none["paths"] as object);
  assert.ok(paths.includes("/") && paths.includes("/docs/{path}") && !paths.includes("/chat"));
  await withApp(async (_app, fetch) => {
    const response = await fetch("/openapi.json");
    assert.equal(response.headers.get("content-type"), "application/json");
    const etag = response.headers.get("etag") ?? "";
    assert.equal((await response.json()).openapi, "3.1.1");
    const again = await fetch("/openapi.json", { headers: { "If-None-Match": etag } });
    assert.equal(again.status, 304);
  });
});
