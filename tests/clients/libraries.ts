import { readSource } from "../support/source_files.ts";

/** How the program of a library is run. */
export type Runner = "browsers" | "deno" | "go" | "java" | "python" | "rust";

/** A library of others, with the shortest program that reads the channel `numbers` with it. */
export interface Library {
  readonly name: string;
  /** The file of the program, in `tests/clients/`. Its first argument is a URL. */
  readonly program: string;
  readonly runner: Runner;
  readonly transport: "SSE" | "WebSocket" | "long poll";
  /** What one has to know, in one or two sentences. */
  readonly note: string;
}

export const LIBRARIES: readonly Library[] = [
  {
    name: "EventSource",
    program: "javascript/event_source.js",
    runner: "browsers",
    transport: "SSE",
    note: "Reconnects by itself.",
  },
  {
    name: "event-source-polyfill",
    program: "javascript/event_source_polyfill.js",
    runner: "browsers",
    transport: "SSE",
    note: "Reconnects by itself, with `lastEventId` in the query.",
  },
  {
    name: "@microsoft/fetch-event-source",
    program: "javascript/fetch_event_source.js",
    runner: "browsers",
    transport: "SSE",
    note: "`onmessage` also gets system events: check `event`.",
  },
  {
    name: "reconnecting-websocket",
    program: "javascript/reconnecting_websocket.js",
    runner: "browsers",
    transport: "WebSocket",
    note: "Keep the last offset, and subscribe after it in `onopen`.",
  },
  {
    name: "rxjs",
    program: "javascript/rxjs.js",
    runner: "browsers",
    transport: "WebSocket",
    note:
      "Completes when the server closes the socket, with any code: `repeat` in addition to `retry`.",
  },
  {
    name: "eventsource",
    program: "javascript/eventsource.js",
    runner: "deno",
    transport: "SSE",
    note: "Reconnects by itself, if something else keeps the process alive.",
  },
  {
    name: "httpx-sse",
    program: "python/read_httpx_sse.py",
    runner: "python",
    transport: "SSE",
    note: "Write the loop yourself. The default timeout of 5 s is shorter than a heartbeat.",
  },
  {
    name: "sseclient-py",
    program: "python/read_sseclient.py",
    runner: "python",
    transport: "SSE",
    note: "Write the loop yourself, with a timeout, so that a dead connection is noticed.",
  },
  {
    name: "requests",
    program: "python/read_requests.py",
    runner: "python",
    transport: "long poll",
    note: "`Weir-Cursor` of each answer is the next `after`.",
  },
  {
    name: "websockets",
    program: "python/read_websockets.py",
    runner: "python",
    transport: "WebSocket",
    note: "`async for` over `connect` reconnects. Keep the last offset.",
  },
  {
    name: "github.com/r3labs/sse/v2",
    program: "go/r3labs_sse/main.go",
    runner: "go",
    transport: "SSE",
    note:
      "`SubscribeRaw`: `Subscribe` adds a query parameter. Gets system events too. For events of more than 64 KiB set `ClientMaxBufferSize`.",
  },
  {
    name: "github.com/tmaxmax/go-sse",
    program: "go/tmaxmax_go_sse/main.go",
    runner: "go",
    transport: "SSE",
    note: "Reconnects by itself. For events of more than 64 KiB call `Buffer`.",
  },
  {
    name: "github.com/coder/websocket",
    program: "go/coder_websocket/main.go",
    runner: "go",
    transport: "WebSocket",
    note:
      "Write the loop yourself and keep the last offset. For messages of more than 32 KiB call `SetReadLimit`.",
  },
  {
    name: "eventsource-client",
    program: "rust/src/bin/eventsource_client.rs",
    runner: "rust",
    transport: "SSE",
    note: "Reconnects by itself, and reports each lost connection as an error of the stream.",
  },
  {
    name: "reqwest-eventsource",
    program: "rust/src/bin/reqwest_eventsource.rs",
    runner: "rust",
    transport: "SSE",
    note: "Reconnects by itself, unless the program calls `close` at an error.",
  },
  {
    name: "okhttp-sse",
    program: "java/OkHttpSse.java",
    runner: "java",
    transport: "SSE",
    note:
      "Reconnect yourself, in `onClosed` and `onFailure`. The default timeout is 10 s, shorter than a heartbeat.",
  },
  {
    name: "okhttp-eventsource",
    program: "java/OkHttpEventSource.java",
    runner: "java",
    transport: "SSE",
    note: "Reconnects by itself with `ErrorStrategy.alwaysContinue()`.",
  },
];

const LANGUAGES: Readonly<Record<Runner, string>> = {
  browsers: "JavaScript, Chromium and Firefox",
  deno: "JavaScript, Node and Deno",
  go: "Go",
  java: "Java",
  python: "Python",
  rust: "Rust",
};

/** Returns the libraries that `runner` runs. */
export function librariesOf(runner: Runner): readonly Library[] {
  return LIBRARIES.filter((library) => library.runner === runner);
}

/** Returns the text of docs/clients.md. */
export async function clientsPage(): Promise<string> {
  const rows = await Promise.all(LIBRARIES.map(async (library) => {
    const { name, runner, transport } = library;
    const version = await versionOf(library);
    return [`\`${name}\``, LANGUAGES[runner], version, transport, "✓", "✓", "✓"];
  }));
  const programs = await Promise.all(LIBRARIES.map(async ({ name, note, program }) => {
    const text = await readSource(`tests/clients/${program}`);
    const extension = program.split(".").at(-1) ?? "";
    const sentences = note.split(/(?<=\.) /).map((sentence) => `- ${sentence}\n`).join("");
    return `### ${name}\n\n${sentences}\n\`\`\`${extension}\n${text}\`\`\`\n`;
  }));
  return `${INTRODUCTION}\n${table([HEADING, ...rows])}${PROGRAMS}\n${programs.join("\n")}`;
}

const INTRODUCTION = `# Clients of others

Weir speaks server-sent events, WebSocket and HTTP, so libraries that know nothing of Weir can read
its channels. Each of these is tested in its default form, with the program below. For the browser
and Node there is also Weir's own [client](client.md), which needs no such code.

<!-- Written by tests/clients/write_page.ts from tests/clients/libraries.ts. -->

## What was tested

A ✓ means that the program received each event once and in order, and no empty message:

- **live**: while the server runs.
- **crash**: the server is killed (SIGKILL) and started again, with events before and after.
- **stop**: the same with a server that stops gracefully (SIGTERM).
`;

const HEADING = ["library", "for", "version", "over", "live", "crash", "stop"];

const PROGRAMS = `
## The programs

Each reads the channel \`numbers\` and prints the data of its events. The argument, in browsers the
query parameter \`url\`, is the URL of the channel or of the socket:

- Server-sent events and long polls: \`http://127.0.0.1:8000/v1/channels/numbers/events\`
- WebSocket: \`ws://127.0.0.1:8000/v1/socket\`

What holds for all of them:

- A stream has [system events](protocol.md#server-sent-events) such as \`weir.open\` and
  \`weir.goodbye\` next to those of the channel. Libraries that hand all events to one function need a
  look at the type.
- A WebSocket of a library has no cursor: the program keeps the \`offset\` of the last message and
  subscribes after it. The server sends one JSON object per frame, unless the client offers the
  subprotocol \`weir.v1\`.
- On a server with keys send a token in the header \`Authorization\`, or a ticket where a library
  cannot send headers ([access](access.md#browsers)).
- At a graceful stop a stream [breaks off](protocol.md#server-sent-events) after its goodbye. When
  it was measured with complete responses instead, \`@microsoft/fetch-event-source\` and
  \`github.com/r3labs/sse/v2\` ended for good, and all others reconnected. A WebSocket without a
  subprotocol closes with 1012, after which RxJS completes and all others reconnect.
- Between a stop and a start nobody listens, so a client must also repeat a connection that is
  refused.
`;

/** Formats rows as deno fmt does. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |\n`;
  const [heading = [], ...others] = rows;
  return line(heading) + line(widths.map((width) => "-".repeat(width))) + others.map(line).join("");
}

/** Returns the version that the lock file, or the file with exact versions, names. */
async function versionOf({ name, program, runner }: Library): Promise<string> {
  if (name === "EventSource") return "Debian's";
  const [file, pattern] = VERSIONS[runner];
  const text = await readSource(file);
  const [, version] = new RegExp(pattern.replaceAll("NAME", RegExp.escape(name)), "m").exec(text) ??
    [];
  if (version === undefined) throw new Error(`${file} has no version for ${program}`);
  return version;
}

const IN_DENO_JSON = ["deno.json", `"NAME": "npm:NAME@([^"/]+)"`] as const;
const VERSIONS: Readonly<Record<Runner, readonly [file: string, pattern: string]>> = {
  browsers: IN_DENO_JSON,
  deno: IN_DENO_JSON,
  go: ["tests/clients/go/go.mod", "^\\s*NAME v(\\S+)$"],
  java: ["tests/clients/java/pom.xml", "<artifactId>NAME</artifactId>\\s*<version>([^<]+)<"],
  python: ["tests/clients/python/requirements.txt", "^NAME==(\\S+)$"],
  rust: ["tests/clients/rust/Cargo.toml", '^NAME = "=(\\S+)"$'],
};
