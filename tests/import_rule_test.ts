import assert from "node:assert/strict";
import { type Import, importCycles, readImports } from "./support/import_graph.ts";
import { sourceFiles } from "./support/source_files.ts";

/** Routes that others may import: they read and refuse requests, and answer none. */
const PLUMBING = [
  "routes/access.ts",
  "routes/admin.ts",
  "routes/api_description",
  "routes/body.ts",
  "routes/body_budget.ts",
  "routes/channel_list.ts",
  "routes/context.ts",
  "routes/credentials.ts",
  "routes/limited_client.ts",
  "routes/member_session.ts",
  "routes/problem.ts",
  "routes/producer.ts",
  "routes/query.ts",
  "routes/stopping.ts",
];

/** What a page's definition may import in addition to its island. */
const PAGE = [
  "islands",
  "lib/auth",
  "lib/transports",
  "lib/shared",
  "lib/server.ts",
  "routes/page.tsx",
];

/**
 * What each part may import: `routes → transports → hub → log → kv`, shared at the bottom, never
 * upward. A part is a folder or a file; the longest matching name is a file's part. Files of a part
 * may import each other, except routes, of which each is a separate part.
 */
const RULE: Readonly<Record<string, readonly string[]>> = {
  "main.ts": [
    "lib/auth/access.ts",
    "lib/certificate.ts",
    "lib/config.ts",
    "lib/listener.ts",
    "lib/logger.ts",
    "lib/metrics_listener.ts",
    "lib/quic_listener.ts",
    "lib/shared/task_command.ts",
    "lib/siblings.ts",
    "lib/stop_signals.ts",
    "lib/kv/store.ts",
    "lib/server.ts",
    "routes/app.ts",
    "routes/metrics.ts",
    "routes/serve_error.ts",
    "routes/webtransport.ts",
  ],

  "dev.ts": [],

  "permissions.ts": ["lib/config.ts", "lib/permissions.ts"],

  "keys.ts": ["lib/auth", "lib/config.ts", "lib/keys_cli", "lib/shared", "routes/app.ts"],

  "publish.ts": [
    "lib/config.ts",
    "lib/keys_cli",
    "lib/publish_cli",
    "lib/shared/task_command.ts",
    "lib/terminal",
  ],

  "store.ts": [
    "lib/config.ts",
    "lib/keys_cli",
    "lib/publish_cli",
    "lib/shared",
    "lib/store_cli",
    "lib/terminal",
  ],

  "routes/app.ts": ["routes", "lib/auth", "lib/logger.ts", "lib/shared", "lib/server.ts"],
  "routes/access.ts": [
    "lib/auth",
    "lib/config.ts",
    "lib/shared",
    "lib/server.ts",
    "routes/context.ts",
    "routes/credentials.ts",
    "routes/origin.ts",
  ],
  "routes/origin.ts": [
    "lib/config.ts",
    "lib/logger.ts",
    "lib/shared",
    "routes/context.ts",
    "routes/query.ts",
  ],
  "routes/credentials.ts": ["lib/config.ts", "lib/shared", "routes/context.ts", "routes/origin.ts"],
  "routes/publish_events.ts": [
    "lib/auth",
    "lib/log",
    "lib/publish",
    "lib/shared",
    "lib/server.ts",
    "routes/publish_stream.ts",
    ...PLUMBING,
  ],
  "routes/publish_stream.ts": [
    "lib/auth",
    "lib/logger.ts",
    "lib/publish",
    "lib/shared",
    "lib/server.ts",
    ...PLUMBING,
  ],
  "routes/producer.ts": ["lib/auth", "lib/publish", "lib/shared"],
  "routes/members.ts": ["lib/auth", "lib/presence", "lib/shared", "lib/server.ts", ...PLUMBING],
  "routes/member_session.ts": [
    "lib/auth",
    "lib/presence",
    "lib/shared",
    "lib/server.ts",
    "routes/access.ts",
    "routes/api_description",
    "routes/context.ts",
    "routes/query.ts",
  ],
  "routes/signals.ts": ["lib/auth", "lib/rtc", "lib/shared", "lib/server.ts", ...PLUMBING],
  "routes/page.tsx": [
    "lib/assets.ts",
    "lib/auth",
    "lib/pages.ts",
    "lib/shared",
    "lib/server.ts",
    "routes/page_markup.tsx",
    ...PLUMBING,
  ],
  "routes/docs_page.tsx": [
    "lib/assets.ts",
    "lib/server.ts",
    "lib/shared",
    "routes/api_page.tsx",
    "routes/context.ts",
    "routes/page.tsx",
    "routes/page_markup.tsx",
  ],
  "routes/api_page.tsx": [
    "lib/server.ts",
    "routes/api_description",
    "routes/context.ts",
    "routes/origin.ts",
    "routes/page.tsx",
    "routes/page_markup.tsx",
  ],
  "routes/pages.ts": [
    "lib/pages.ts",
    "lib/server.ts",
    "routes/api_description",
    "routes/context.ts",
    "routes/chat_page.ts",
    "routes/call_page.ts",
    "routes/console_page.ts",
    "routes/dashboard_page.ts",
    "routes/drop_page.ts",
    "routes/lab_page.ts",
    "routes/page.tsx",
    "routes/page_markup.tsx",
  ],
  "routes/console_page.ts": [...PAGE, "routes/channel_list.ts"],
  "routes/call_page.ts": [...PAGE],
  "routes/chat_page.ts": [...PAGE],
  "routes/dashboard_page.ts": [...PAGE],
  "routes/drop_page.ts": [...PAGE],
  "routes/lab_page.ts": [...PAGE],
  "routes/page_markup.tsx": ["islands", "lib/pages.ts", "lib/version.ts"],
  "routes/transports.ts": [
    "lib/config.ts",
    "lib/quic_offer.ts",
    "lib/server.ts",
    "routes/api_description",
    "routes/context.ts",
    "routes/origin.ts",
    "routes/query.ts",
  ],
  "routes/webtransport.ts": [
    "lib/auth",
    "lib/logger.ts",
    "lib/quic/session.ts",
    "lib/quic_offer.ts",
    "lib/transports",
    "lib/shared",
    "lib/server.ts",
    "routes/origin.ts",
    "routes/rate_limit_delay.ts",
    ...PLUMBING,
  ],
  "routes/assets.ts": [
    "lib/assets.ts",
    "lib/shared",
    "routes/api_description",
    "routes/context.ts",
  ],
  // Handlers import the parts for descriptions, and the list of all descriptions imports handlers.
  "routes/api_description": [
    "routes",
    "lib/auth/limits.ts",
    "lib/pages.ts",
    "lib/publish/draft.ts",
    "lib/shared",
    "lib/transports",
    "lib/version.ts",
  ],
  "routes/metrics.ts": [
    "lib/auth",
    "lib/config.ts",
    "lib/metrics",
    "lib/shared",
    "lib/server.ts",
    "routes/api_description",
    "routes/context.ts",
    "routes/origin.ts",
    "routes/problem.ts",
    "routes/query.ts",
  ],
  "routes/serve_error.ts": ["lib/logger.ts", "lib/shared", "lib/transports", "routes/problem.ts"],
  "routes/socket.ts": [
    "lib/auth",
    "lib/logger.ts",
    "lib/transports",
    "lib/shared",
    "lib/server.ts",
    ...PLUMBING,
  ],
  "routes": [
    "lib/auth",
    "lib/config.ts",
    "lib/transports",
    "lib/log",
    "lib/publish",
    "lib/shared",
    "lib/server.ts",
    ...PLUMBING,
  ],

  "lib/keys_cli": [
    "lib/auth",
    "lib/config.ts",
    "lib/kv/store.ts",
    "lib/logger.ts",
    "lib/replace_file.ts",
    "lib/shared",
    "lib/server.ts",
  ],
  "lib/publish_cli": [
    "lib/client",
    "lib/keys_cli/cli_error.ts",
    "lib/keys_cli/failure_reason.ts",
    "lib/shared",
  ],
  "lib/store_cli": [
    "lib/client/core",
    "lib/client/transports/event_source_parser.ts",
    "lib/config.ts",
    "lib/keys_cli/cli_error.ts",
    "lib/keys_cli/failure_reason.ts",
    "lib/kv",
    "lib/log",
    "lib/publish_cli/input_lines.ts",
    "lib/shared",
  ],
  "lib/terminal": [],
  "lib/server.ts": ["lib"],
  "lib/permissions.ts": ["lib/assets.ts", "lib/auth/key_source.ts", "lib/config.ts"],
  "lib/config.ts": ["lib/auth", "lib/log/log.ts", "lib/pages.ts", "lib/rtc", "lib/shared"],
  "lib/logger.ts": [],
  "lib/siblings.ts": ["lib/shared"],
  "lib/metrics_listener.ts": ["lib/config.ts", "lib/shared"],
  "lib/listener.ts": ["lib/certificate.ts"],
  "lib/certificate.ts": ["lib/shared"],
  "lib/certificate_keeper.ts": ["lib/replace_file.ts", "lib/self_signed_certificate.ts"],
  "lib/self_signed_certificate.ts": ["lib/certificate.ts", "lib/shared"],
  "lib/replace_file.ts": [],
  "lib/assets.ts": ["lib/pages.ts"],
  "lib/pages.ts": [],
  "lib/quic_listener.ts": [
    "lib/certificate.ts",
    "lib/certificate_keeper.ts",
    "lib/config.ts",
    "lib/logger.ts",
    "lib/quic",
    "lib/quic_offer.ts",
    "lib/shared",
  ],
  "lib/quic_offer.ts": [],
  "lib/version.ts": ["deno.json"],

  "lib/transports": [
    "lib/auth",
    "lib/hub",
    "lib/log",
    "lib/presence",
    "lib/publish",
    "lib/quic",
    "lib/rtc",
    "lib/shared",
  ],
  "lib/presence": ["lib/auth", "lib/kv", "lib/log", "lib/shared"],
  "lib/rtc": ["lib/auth", "lib/log", "lib/presence", "lib/shared"],
  "lib/auth": ["lib/kv", "lib/log", "lib/shared"],
  "lib/figures": [
    "lib/hub/hub_observer.ts",
    "lib/kv",
    "lib/log/log.ts",
    "lib/log/log_observer.ts",
    "lib/shared",
  ],
  "lib/metrics": [
    "lib/auth/limit_settings.ts",
    "lib/auth/limits.ts",
    "lib/figures",
    "lib/shared",
    "lib/transports/goodbye.ts",
    "lib/version.ts",
  ],
  "lib/hub": ["lib/log", "lib/shared"],
  "lib/tracing": [
    "lib/hub/replay_tracer.ts",
    "lib/hub/subscription.ts",
    "lib/log",
    "lib/shared",
    "lib/transports/messages/message.ts",
    "lib/transports/messages/message_tracer.ts",
    "lib/version.ts",
  ],
  "lib/quic": ["lib/shared/async"],
  "lib/publish": ["lib/log", "lib/shared"],
  "lib/log": ["lib/kv", "lib/shared"],
  "lib/kv": ["lib/shared"],

  "lib/client/client.ts": ["lib/client"],
  "lib/client/lazy_chunk.ts": ["lib/client"],
  "lib/client/make_client.ts": ["lib/client"],
  "lib/client/frameworks": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/presence": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/publishing": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/reading": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/rtc": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/server": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/tabs": ["lib/client/api.ts", "lib/client/core"],
  "lib/client/transports": ["lib/client/connection", "lib/client/core", "lib/shared"],
  "lib/client/connection": ["lib/client/api.ts", "lib/client/core", "lib/shared"],
  "lib/client/otel": [
    "lib/client/api.ts",
    "lib/client/core",
    "lib/client/server/producer.ts",
    "lib/shared",
  ],
  "lib/client/api.ts": ["lib/client/core"],
  "lib/client/core": ["lib/shared"],

  "lib/shared": [],

  "islands": ["lib/client", "lib/shared"],
  "islands/build.ts": ["islands/docs.ts", "lib/assets.ts", "lib/pages.ts", "package/minify.ts"],
  "islands/docs.ts": ["lib/assets.ts"],
  "islands/build_if_changed.ts": ["islands/build.ts", "lib/assets.ts"],

  "package": [],
  "package/build.ts": ["package"],
  "package/server": [
    "islands/build.ts",
    "lib/assets.ts",
    "lib/config.ts",
    "lib/permissions.ts",
    "lib/version.ts",
    "package",
  ],
};

/** The packages that a part may import; other parts use only the platform. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "routes": ["hono", "zod"],
  "routes/page.tsx": ["hono", "zod", "preact", "preact-render-to-string"],
  "routes/docs_page.tsx": ["preact", "preact-render-to-string"],
  "routes/api_page.tsx": ["preact", "preact-render-to-string"],
  "routes/api_description": ["preact", "zod"],
  "routes/page_markup.tsx": ["preact"],
  "lib/client/frameworks/react.ts": ["react"],
  "lib/client/frameworks/svelte.ts": ["svelte"],
  "lib/client/frameworks/vue.ts": ["vue"],
  "lib/config.ts": ["zod"],
  "lib/auth": ["jose", "zod"],
  "lib/client/otel": ["@opentelemetry/api"],
  "lib/client/server": ["jose"],
  "lib/keys_cli": ["jose", "zod"],
  "lib/metrics": ["prom-client"],
  "lib/publish": ["zod"],
  "lib/store_cli": ["zod"],
  "lib/tracing": ["@opentelemetry/api"],
  "lib/transports": ["zod"],
  "islands": ["preact", "@preact/signals", "uplot"],
  "islands/build.ts": ["esbuild"],
  "islands/docs.ts": ["marked"],
  "package": ["esbuild", "terser", "typescript"],
};

const imports = await readImports([
  "main.ts",
  "dev.ts",
  "permissions.ts",
  "keys.ts",
  "publish.ts",
  "store.ts",
  ...await sourceFiles("routes"),
  ...await sourceFiles("lib"),
  ...await sourceFiles("islands"),
  ...await sourceFiles("package"),
]);

Deno.test("every file imports only what the rule for its part allows", () => {
  assert.ok(imports.length > 200, `only ${imports.length} imports were found`);
  assert.deepEqual(faults(imports), []);
});

Deno.test("the import rule refuses imports upward, of unlisted packages and from unlisted folders", () => {
  const wrong: readonly Import[] = [
    { from: "lib/shared/offset.ts", to: "lib/log/log.ts" },
    { from: "lib/shared/offset.ts", to: "npm:zod" },
    { from: "lib/kv/keys.ts", to: "lib/log/log.ts" },
    { from: "lib/log/kv_log.ts", to: "lib/hub/hub.ts" },
    { from: "lib/hub/tail.ts", to: "lib/transports/sse/stream.ts" },
    { from: "lib/hub/tail.ts", to: "lib/kv/keys.ts" },
    { from: "lib/transports/sse/stream.ts", to: "lib/kv/keys.ts" },
    { from: "lib/transports/sse/stream.ts", to: "routes/query.ts" },
    { from: "lib/client/core/link.ts", to: "lib/client/api.ts" },
    { from: "lib/client/connection/connection.ts", to: "lib/client/transports/websocket.ts" },
    { from: "lib/client/presence/presence.ts", to: "lib/client/reading/history.ts" },
    { from: "routes/read_events.ts", to: "routes/publish_events.ts" },
    { from: "routes/read_events.ts", to: "lib/kv/keys.ts" },
    { from: "routes/read_events.ts", to: "routes/app.ts" },
    { from: "islands/console/live.tsx", to: "lib/hub/hub.ts" },
    { from: "lib/new_folder/file.ts", to: "lib/shared/offset.ts" },
  ];
  assert.equal(faults(wrong).length, wrong.length);
  const right: readonly Import[] = [
    { from: "routes/read_events.ts", to: "routes/query.ts" },
    { from: "lib/hub/hub.ts", to: "lib/hub/tail.ts" },
    { from: "islands/console/live.tsx", to: "npm:preact" },
  ];
  assert.deepEqual(faults(right), []);
});

Deno.test("no file imports itself through others", () => {
  const cycles = importCycles(imports).map((files) => [...files, files[0]].join(" → "));
  assert.equal(
    cycles.length,
    0,
    `Move what both need to a third file, or pass it as an argument:\n${cycles.join("\n")}`,
  );
});

Deno.test("each import cycle is reported once, by its shortest way", () => {
  const cyclic = [
    { from: "a.ts", to: "b.ts" },
    { from: "b.ts", to: "c.ts" },
    { from: "b.ts", to: "a.ts" },
    { from: "c.ts", to: "a.ts" },
    { from: "c.ts", to: "d.ts" },
    { from: "e.ts", to: "e.ts" },
  ];
  assert.deepEqual(importCycles(cyclic), [["a.ts", "b.ts"], ["c.ts", "a.ts", "b.ts"], ["e.ts"]]);
  assert.deepEqual(importCycles(cyclic.filter(({ to }) => to > "c.ts" && to < "e.ts")), []);
});

function faults(imports: readonly Import[]): readonly string[] {
  return imports.flatMap(({ from, to }) => {
    const part = partOf(from, RULE);
    if (part === undefined) return [`${from} belongs to no part: add its folder to the rule`];
    const allowed = to.startsWith("npm:")
      ? (PACKAGES[partOf(from, PACKAGES) ?? ""] ?? []).map((name) => `npm:${name}`)
      : RULE[part] ?? [];
    const isOwn = part !== "routes" && isWithin(to, part) && partOf(to, RULE) === part;
    if (isOwn || allowed.some((name) => isWithin(to, name))) return [];
    return [`${from} imports ${to}: ${part} may import ${allowed.join(", ") || "nothing"}`];
  });
}

function partOf(path: string, parts: Readonly<Record<string, unknown>>): string | undefined {
  return Object.keys(parts).filter((name) => isWithin(path, name))
    .sort((a, b) => b.length - a.length)[0];
}

function isWithin(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}
