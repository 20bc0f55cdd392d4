import assert from "node:assert/strict";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { changesOf, namesIn, snapshot } from "../support/members.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const CHANNEL = "room";
/** A member that reconnects within this time never left: the grace period, less one tick. */
const IN_TIME_MS = 9_000;
/** Attempts on a machine that is too busy for its clients to reconnect in time. */
const MAX_TRIES = 5;

/** Two servers with the same presence, one after the other or at once. */
interface Pair extends AsyncDisposable {
  readonly first: WeirServer;
  /** Returns the server that members go to when the first one ends; it may have to start. */
  other(): Promise<WeirServer>;
}

interface Way {
  readonly name: string;
  readonly ignore: boolean;
  open(): Promise<Pair>;
}

const WAYS: readonly Way[] = [
  { name: "two processes on one denokv", ignore: DENOKV_MISSING, open: openTwo },
  { name: "one process that restarts on its file", ignore: false, open: openOne },
];

async function openTwo(): Promise<Pair> {
  await using undo = new AsyncDisposableStack();
  const denokv = undo.use(await Denokv.start());
  const env = { WEIR_KV: denokv.url };
  const first = undo.use(await WeirServer.start({ env }));
  const second = undo.use(await WeirServer.start({ env }));
  const resources = undo.move();
  return {
    first,
    other: () => Promise.resolve(second),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function openOne(): Promise<Pair> {
  const server = await WeirServer.start();
  return {
    first: server,
    async other() {
      await server.start();
      return server;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function enter(url: string, member: string, session?: string): Promise<SocketClient> {
  const socket = await SocketClient.open(url);
  const named = session !== undefined && { session };
  socket.send({ op: "enter", ref: 1, channel: CHANNEL, member, data: member, ...named });
  await socket.until("entered");
  return socket;
}

/** Ends one server, and lets the client of one of its two members go to the other one. */
async function follow(pair: Pair, signal: Deno.Signal): Promise<"in time" | "late"> {
  const { url } = pair.first;
  const sockets = [await enter(url, "gone"), await enter(url, "back")];
  const before = await snapshot(url, CHANNEL);
  const ending = performance.now();
  await pair.first.kill(signal);
  for (const socket of sockets) await socket.closed;
  const other = await pair.other();
  await using _back = await enter(other.url, "back");
  if (performance.now() - ending > IN_TIME_MS) return "late";
  await until("the member that is gone has left", async () => {
    return !(await namesIn(other.url, CHANNEL)).includes("gone");
  });
  const changes = ["enter gone", "enter back", "leave gone"];
  assert.deepEqual(await changesOf(other.url, CHANNEL), changes);
  const { members } = await snapshot(other.url, CHANNEL);
  assert.deepEqual(members, before.members.filter(({ member }) => member === "back"));
  return "in time";
}

/** Ends one server, and lets one of the two sessions of a member go to the other server. */
async function followSessions(pair: Pair, signal: Deno.Signal): Promise<"in time" | "late"> {
  const { url } = pair.first;
  const sockets = [await enter(url, "ann", "gone"), await enter(url, "ann", "back")];
  const ending = performance.now();
  await pair.first.kill(signal);
  for (const socket of sockets) await socket.closed;
  const other = await pair.other();
  await using back = await enter(other.url, "ann", "back");
  if (performance.now() - ending > IN_TIME_MS) return "late";
  const sessions = async () => (await snapshot(other.url, CHANNEL)).members[0]?.sessions;
  await until("the session that is gone is not listed", async () => {
    return !(await sessions())?.includes("gone");
  });
  assert.deepEqual(await sessions(), ["back"]);
  const changes = ["enter ann", "update ann", "update ann"];
  assert.deepEqual(await changesOf(other.url, CHANNEL), changes);
  back.send({ op: "leave", ref: 2, channel: CHANNEL, member: "ann", session: "back" });
  await back.until("left");
  assert.deepEqual(await changesOf(other.url, CHANNEL), [...changes, "leave ann"]);
  return "in time";
}

const BEHAVIOURS = [
  ["leaves no ghost, and a member that reconnects never left", follow],
  ["leaves no ghost of a session, and one that reconnects never left", followSessions],
] as const;

for (const { name, ignore, open } of WAYS) {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    for (const [behaviour, follow] of BEHAVIOURS) {
      const test = `a server that ends by ${signal} ${behaviour} (${name})`;
      Deno.test(test, { ignore }, async () => {
        for (let tries = 1; tries <= MAX_TRIES; tries++) {
          await using pair = await open();
          if (await follow(pair, signal) === "in time") return;
        }
        assert.fail(`no client reconnected within ${IN_TIME_MS} ms`);
      });
    }
  }
}
