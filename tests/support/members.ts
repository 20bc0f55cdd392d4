import assert from "node:assert/strict";
import type { WireEvent } from "../../lib/shared/event.ts";
import { type Answer, call } from "./calls.ts";
import { readAll, type Reader, READERS } from "./readers.ts";
import type { SocketClient, SocketMessage } from "./socket_client.ts";

type Headers = Readonly<Record<string, string>>;

/** A member as clients receive it. */
export interface WireMember {
  readonly member: string;
  readonly data: unknown;
  readonly since: string;
  readonly offset: string;
  readonly sessions?: readonly string[];
}

export interface WireSnapshot {
  readonly members: readonly WireMember[];
  readonly cursor: string;
}

export function membersPath(channel: string, member?: string, session = "s"): string {
  const path = `/v1/channels/${encodeURIComponent(channel)}/members`;
  return member === undefined
    ? path
    : `${path}/${encodeURIComponent(member)}?session=${encodeURIComponent(session)}`;
}

/** Makes a request for a member's HTTP session. */
export async function callMember(
  url: string,
  method: "PUT" | "DELETE",
  { channel, member, session, data, headers = {} }: {
    readonly channel: string;
    readonly member: string;
    readonly session?: string;
    readonly data?: unknown;
    readonly headers?: Headers;
  },
): Promise<Answer> {
  return await call(url, membersPath(channel, member, session), {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    ...method === "PUT" && { body: JSON.stringify(data === undefined ? {} : { data }) },
  });
}

export async function snapshot(
  url: string,
  channel: string,
  headers: Headers = {},
): Promise<WireSnapshot> {
  const answer = await call(url, membersPath(channel), { headers });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json;
}

/** Returns the names of the members, sorted. */
export async function namesIn(
  url: string,
  channel: string,
  headers?: Headers,
): Promise<readonly string[]> {
  return (await snapshot(url, channel, headers)).members.map(({ member }) => member).toSorted();
}

/** Returns all stored changes, such as `enter ann`. */
export async function changesOf(
  url: string,
  channel: string,
  headers?: Headers,
): Promise<readonly string[]> {
  const events = await readAll(url, `$presence:${channel}`, headers);
  return events.map(({ type, key }) => `${type} ${key}`);
}

/** A snapshot to which changes are applied, as a client does. */
export class Presence {
  readonly members: Map<string, WireMember>;
  /** The offset of the last change. */
  offset: string;

  constructor({ members, cursor }: WireSnapshot) {
    this.members = new Map(members.map((member) => [member.member, member]));
    this.offset = cursor;
  }

  apply({ type, offset, data }: WireEvent): void {
    this.offset = offset;
    const change = data as Omit<WireMember, "offset">; // of a presence channel
    const { member } = change;
    if (offset <= (this.members.get(member)?.offset ?? "")) return; // contained in the snapshot
    if (type === "leave") this.members.delete(member);
    else this.members.set(member, { ...change, offset });
  }

  /** Returns the members, sorted by name. */
  get list(): readonly WireMember[] {
    return [...this.members.values()].toSorted((a, b) => a.member < b.member ? -1 : 1);
  }
}

/** Joins over the socket, and returns the answer. */
export async function enter(
  socket: SocketClient,
  channel: string,
  rest: Readonly<Record<string, unknown>> = {},
): Promise<SocketMessage> {
  socket.send({ op: "enter", ref: "e", channel, ...rest });
  return await socket.until("entered");
}

/** Leaves over the socket. */
export async function leave(
  socket: SocketClient,
  channel: string,
  member?: string,
  session?: string,
): Promise<void> {
  socket.send({
    op: "leave",
    ref: "l",
    channel,
    ...member !== undefined && { member },
    ...session !== undefined && { session },
  });
  assert.deepEqual(await socket.until("left"), { op: "left", ref: "l" });
}

/** Sends a message that the server refuses, and returns the error code. */
export async function refusal(socket: SocketClient, message: SocketMessage): Promise<unknown> {
  socket.send(message);
  const { op, code } = await socket.next();
  assert.equal(op, "error");
  return code;
}

/** Opens a reader of the named transport. */
export async function openReader(
  transport: string,
  url: string,
  channels: readonly string[],
  after: string,
): Promise<Reader> {
  const open = READERS[transport] ?? assert.fail(`no transport ${transport}`);
  return await open(url, channels, after);
}
