import assert from "node:assert/strict";
import type { ProblemCode } from "../../lib/shared/problem.ts";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";
import { LocalServer } from "../support/local_server.ts";

const MiB = 1_048_576;
const EVENTS = "/v1/channels/a/events";
const JSON_BODY = { "Content-Type": "application/json" };
const TEXT_BODY = { "Content-Type": "text/plain" };

type Bad = readonly [
  what: string,
  request: RequestInit & { readonly path: string },
  status: number,
  code: ProblemCode,
  /** What the detail must mention. */
  says?: RegExp,
];

const get = (path: string, headers: Record<string, string> = {}) => ({ path, headers });
const post = (path: string, body: BodyInit, headers: Record<string, string> = JSON_BODY) => ({
  path,
  method: "POST",
  body,
  headers,
});
const batch = (...events: readonly unknown[]) => post("/v1/events", JSON.stringify({ events }));
const good = { channel: "a", data: 1 };

const BAD: readonly Bad[] = [
  // Channels
  ["a reserved channel", post("/v1/channels/$x/events", "1"), 400, "channel_reserved", /"\$x"/],
  ["a control character in a channel", post("/v1/channels/a%0Ab/events", "1"), 400, "bad_channel"],
  ["a channel that is not UTF-8", post("/v1/channels/%ff/events", "1"), 400, "bad_channel"],
  [
    "a channel that is too long",
    post(`/v1/channels/${"é".repeat(129)}/events`, "1"),
    400,
    "bad_channel",
    /256 bytes/,
  ],
  ["an empty channel in a query", get("/v1/events?channel="), 400, "bad_channel"],
  ["no channel in a query", get("/v1/events"), 400, "bad_parameter", /channel/],
  [
    "too many channels",
    get(`/v1/events?${Array.from({ length: 101 }, (_, i) => `channel=${i}`).join("&")}`),
    400,
    "too_many_channels",
    /101.*100/,
  ],
  // Cursors and queries
  ["a malformed cursor", get(`${EVENTS}?after=x`), 400, "bad_cursor", /"x"/],
  ["an empty cursor", get(`${EVENTS}?after=`), 400, "bad_cursor"],
  ["a malformed before", get(`${EVENTS}?before=x`), 400, "bad_cursor", /"x"/],
  ["an empty before", get(`${EVENTS}?before=`), 400, "bad_cursor"],
  [
    "before of several channels",
    get("/v1/events?channel=a&channel=b&before=latest"),
    400,
    "bad_parameter",
    /one channel/,
  ],
  [
    "before with after",
    get(`${EVENTS}?before=latest&after=earliest`),
    400,
    "bad_parameter",
    /"after"/,
  ],
  ["before with wait", get(`${EVENTS}?before=latest&wait=1`), 400, "bad_parameter", /"wait"/],
  [
    "before for a stream",
    get(`${EVENTS}?before=latest`, { Accept: "text/event-stream" }),
    400,
    "bad_parameter",
    /"before".*streams/,
  ],
  [
    "a malformed Last-Event-ID",
    get(EVENTS, { "Accept": "text/event-stream", "Last-Event-ID": "7" }),
    400,
    "bad_cursor",
  ],
  [
    "a malformed lastEventId in the query of a polyfill",
    get(`${EVENTS}?lastEventId=7`, { "Accept": "text/event-stream" }),
    400,
    "bad_cursor",
  ],
  [
    "a lastEventId without a stream",
    get(`${EVENTS}?last-event-id=0mwpum2i6_0000000000000001`),
    400,
    "bad_parameter",
    /"after"/,
  ],
  [
    "a cursor of other channels",
    get("/v1/events?channel=a&channel=b&after=000000000_0000000000000000"),
    400,
    "cursor_other_channels",
  ],
  [
    "a damaged vector",
    get("/v1/events?channel=a&channel=b&after=vAQ"),
    400,
    "cursor_other_channels",
  ],
  [
    "a misspelt parameter",
    get("/v1/events?chanel=a"),
    400,
    "unknown_parameter",
    /"chanel".*channel/,
  ],
  [
    "a query on a resource without one",
    post(`${EVENTS}?wait=1`, "1"),
    400,
    "unknown_parameter",
    /"wait"/,
  ],
  ["a limit of 0", get(`${EVENTS}?limit=0`), 400, "bad_parameter", /"0" as limit.*1 to 1000/],
  ["a limit above the maximum", get(`${EVENTS}?limit=1001`), 400, "bad_parameter", /1 to 1000/],
  ["a limit that is not a number", get(`${EVENTS}?limit=1e2`), 400, "bad_parameter", /"1e2"/],
  ["a wait that is too long", get(`${EVENTS}?wait=61`), 400, "bad_parameter", /0 to 60/],
  ["a negative wait", get(`${EVENTS}?wait=-1`), 400, "bad_parameter", /"-1"/],
  [
    "a repeated parameter",
    get(`${EVENTS}?limit=1&limit=2`),
    400,
    "bad_parameter",
    /twice/,
  ],
  ["envelope=2", get(`${EVENTS}?envelope=2`), 400, "bad_parameter", /envelope/],
  ["an envelope for JSON", get(`${EVENTS}?envelope=1`), 400, "bad_parameter"],
  [
    "a limit for a stream",
    get(`${EVENTS}?limit=1`, { Accept: "text/event-stream" }),
    400,
    "bad_parameter",
  ],
  // Bodies
  ["invalid JSON", post(EVENTS, "{"), 400, "bad_json"],
  ["an empty body as JSON", post(EVENTS, ""), 400, "bad_json"],
  ["JSON that is not UTF-8", post(EVENTS, Uint8Array.of(34, 255, 34)), 400, "bad_encoding"],
  ["text that is not UTF-8", post(EVENTS, Uint8Array.of(255), TEXT_BODY), 400, "bad_encoding"],
  [
    "an unsupported charset",
    post(EVENTS, "x", { "Content-Type": "text/plain; charset=latin1" }),
    415,
    "bad_content_type",
    /latin1/,
  ],
  [
    "an invalid Content-Type",
    post(EVENTS, "x", { "Content-Type": "x" }),
    415,
    "bad_content_type",
  ],
  [
    "a body of 1 MiB and a byte",
    post(EVENTS, "x".repeat(MiB + 1), TEXT_BODY),
    413,
    "event_too_large",
  ],
  ["an event that is not an object", post("/v1/events", "1"), 400, "bad_body"],
  [
    "data that is too deep",
    post(EVENTS, `${"[".repeat(65)}${"]".repeat(65)}`),
    400,
    "bad_json",
    /64/,
  ],
  [
    "an event without data",
    post("/v1/events", `{"channel":"a"}`),
    400,
    "bad_body",
    /event: data is missing\.$/,
  ],
  [
    "an event without a channel",
    post("/v1/events", `{"data":1}`),
    400,
    "bad_body",
    /event: channel is missing\.$/,
  ],
  ["an unknown member", post("/v1/events", `{"channel":"a","data":1,"Type":"x"}`), 400, "bad_body"],
  ["no events", batch(), 400, "bad_body"],
  ["101 events", batch(...Array(101).fill(good)), 400, "too_many_events", /101.*100/],
  ["one bad event of a batch", batch(good, good, { channel: "a" }), 400, "bad_body", /[Ee]vent 2/],
  [
    "one bad channel of a batch",
    batch(good, { channel: "", data: 1 }),
    400,
    "bad_channel",
    /Event 1/,
  ],
  [
    "one large event of a batch",
    batch(good, { ...good, data: "x".repeat(MiB) }),
    413,
    "event_too_large",
    /Event 1/,
  ],
  // Headers
  ["an empty type", post(EVENTS, "1", { ...JSON_BODY, "Weir-Type": "" }), 400, "bad_event_type"],
  [
    "a type of the system",
    post(EVENTS, "1", { ...JSON_BODY, "Weir-Type": "weir.gap" }),
    400,
    "bad_event_type",
    /weir\./,
  ],
  [
    "a key that is too long",
    post(EVENTS, "1", { ...JSON_BODY, "Weir-Key": "k".repeat(257) }),
    400,
    "bad_event_key",
  ],
  [
    "an id that is too long",
    post(EVENTS, "1", { ...JSON_BODY, "Idempotency-Key": "k".repeat(257) }),
    400,
    "bad_event_id",
  ],
  [
    "a TTL in words",
    post(EVENTS, "1", { ...JSON_BODY, "Weir-TTL": "1 day" }),
    400,
    "bad_event_ttl",
    /"1 day"/,
  ],
  ["a TTL of 0", post(EVENTS, "1", { ...JSON_BODY, "Weir-TTL": "0" }), 400, "bad_event_ttl"],
  [
    "a TTL of 2 years",
    post(EVENTS, "1", { ...JSON_BODY, "Weir-TTL": "63072000" }),
    400,
    "bad_event_ttl",
  ],
  // Methods, media types and places
  ["an Accept that can't be met", get(EVENTS, { Accept: "text/html" }), 406, "bad_accept"],
  ["a path that isn't there", get("/v2/events"), 404, "not_found", /\/v2\/events"\.$/],
  [
    "a channel whose slash is not encoded",
    get("/v1/channels/room/7/events"),
    404,
    "not_found",
    /\/v1\/channels\/room\/7\/events"\. A slash in a channel's name is %2F/,
  ],
  [
    "a start of the channel list that is too long",
    get(`/v1/channels?after=${"x".repeat(2_050)}`),
    400,
    "bad_parameter",
    /as after.*256 bytes/,
  ],
  [
    "a start of the channel list with many bytes a character",
    get(`/v1/channels?after=${"%E2%82%AC".repeat(86)}`),
    400,
    "bad_parameter",
  ],
  ["a channel that isn't there", get("/v1/channels/none"), 404, "channel_not_found", /none/],
  ["an origin elsewhere", get(EVENTS, { Origin: "https://example.com" }), 403, "forbidden_origin"],
  ["an opaque origin", get(EVENTS, { Origin: "null" }), 403, "forbidden_origin", /null/],
  [
    "a post from elsewhere",
    post(EVENTS, "1", { ...TEXT_BODY, Origin: "https://example.com" }),
    403,
    "forbidden_origin",
  ],
  // Sockets and settings
  ["a socket without an upgrade", get("/v1/socket"), 426, "upgrade_required"],
  [
    "settings that are unknown",
    { path: "/v1/channels/a", method: "PUT", body: `{"retention":{"days":1}}` },
    400,
    "bad_body",
    /days/,
  ],
  [
    "a retention of nothing",
    { path: "/v1/channels/a", method: "PUT", body: `{"retention":{"events":0}}` },
    400,
    "bad_body",
    /retention\.events/,
  ],
];

Deno.test("bad input is refused with its code and not stored", async (t) => {
  await using server = await LocalServer.start();
  for (const [what, { path, ...init }, status, code, says = /./] of BAD) {
    await t.step(what, async () => {
      const response = await fetch(`${server.url}${path}`, init);
      await assertProblem(response, status, code, says);
      await assertNothingStored(server);
    });
  }
});

Deno.test("an unknown method is refused with the allowed ones", async () => {
  await using server = await LocalServer.start();
  const allowed = {
    [EVENTS]: "GET, HEAD, POST",
    "/v1/events": "GET, HEAD, POST",
    "/v1/socket": "GET, HEAD",
    "/v1/channels": "GET, HEAD",
    "/v1/channels/a": "GET, HEAD, PUT, DELETE",
    "/healthz": "GET, HEAD",
  };
  for (const [path, allow] of Object.entries(allowed)) {
    const response = await fetch(`${server.url}${path}`, { method: "PATCH", body: "x" });
    assert.equal(response.headers.get("allow"), allow);
    await assertProblem(response, 405, "method_not_allowed", /PATCH/);
  }
});

Deno.test("an error in a batch has the index of its event", async () => {
  await using server = await LocalServer.start();
  const { path, ...init } = batch(good, good, { ...good, type: "\n" });
  const problem = await (await fetch(`${server.url}${path}`, init)).json();
  assert.equal(problem.index, 2);
  await assertNothingStored(server);
});

async function assertProblem(
  response: Response,
  status: number,
  code: ProblemCode,
  says: RegExp,
): Promise<void> {
  const problem = await response.json();
  assert.equal(problem.code, code, problem.detail);
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(problem.status, status);
  assert.equal(problem.type, "about:blank");
  assert.match(problem.detail, says);
}

async function assertNothingStored({ server }: LocalServer): Promise<void> {
  assert.deepEqual(await server.log.channels(DEFAULT_TENANT, "", 10), []);
}
