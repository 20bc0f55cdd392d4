import type { Authority } from "../auth/authority.ts";
import type { EndReason, Holder, Session, Sessions } from "../auth/sessions.ts";
import type { Hub } from "../hub/hub.ts";
import type { Sink } from "../hub/sink.ts";
import type { Subscription } from "../hub/subscription.ts";
import type { Appended, Draft } from "../log/log.ts";
import { draftOfPublication } from "../log/draft.ts";
import type { Encoder, Run } from "../log/run.ts";
import {
  type Address,
  addressOf,
  type Channel,
  channelOf,
  parseReadableChannel,
  type Tenant,
} from "../shared/channel.ts";
import { formatCursor, parseAfter } from "../shared/cursor.ts";
import { MAX_EVENT_BYTES } from "../shared/event.ts";
import { offsetOf } from "../shared/offset.ts";
import { Problem, quote } from "../shared/problem.ts";
import type { DrainPoll } from "./drain_poll.ts";
import { type GoodbyeReason, reconnectDelay } from "./goodbye.ts";
import { jsonGap, jsonMembers, socketMessage } from "./json_encoding.ts";
import { type ClientMessage, parseMessage, type Ref } from "./socket_message.ts";
import { startPositions } from "./start.ts";
import { Vector } from "./vector.ts";

export const SUBPROTOCOL = "weir.v1";

/** Close codes of `weir.v1`, in the range that RFC 6455 §7.4.2 leaves to applications. */
export const CLOSE = {
  stopping: 4000,
  slow: 4001,
  frameTooLarge: 4002,
  /** No credential, or one that has ended. */
  unauthenticated: 4401,
} as const;

/** A frame has an event at the most, escaped, and its names. Met: one frame that fills memory. */
const MAX_FRAME_CHARS = 2 * MAX_EVENT_BYTES;
/** Messages in one frame. Met: one frame that holds up everybody else. */
const MAX_FRAME_MESSAGES = 256;
/** Channels of one socket. Met: one socket that makes the server follow everything. */
export const MAX_SOCKET_CHANNELS = 1_000;
/** Channels under one cursor: they all stand in it. */
export const MAX_CURSOR_CHANNELS = 100;
/** Publishes of one socket without their answer. Met: one socket that takes the whole queue. */
const MAX_PUBLISHES = 1_024;
/** Bytes that wait for a socket whose client goes on asking. Met: requests, and nobody who reads. */
const MAX_UNREAD_BYTES = 16 * MAX_EVENT_BYTES;
/** Milliseconds for the first frame of a socket to bring a credential. Met: sockets of nobody. */
const AUTH_MS = 5_000;
/** Messages that wait while a credential is verified. Met: frames that fill memory meanwhile. */
const MAX_WAITING = 1_024;
/** Bytes that wait for a socket before it is full and its subscriptions turn to catching up. */
const QUEUE_BYTES = 128 * 1024;

/** What all sockets of an isolate share. */
export interface SocketOptions {
  readonly hub: Hub;
  readonly live: Sessions;
  readonly drains: DrainPoll;
  readonly append: (drafts: readonly Draft[]) => Promise<readonly Appended[]>;
  /** Milliseconds between two pings, which the runtime sends. */
  readonly heartbeat: number;
  /** Told of what nobody foresaw. */
  readonly onError: (cause: unknown) => void;
  /** All that are open. */
  readonly sessions: Set<SocketSession>;
}

/** Who is at the other end of a socket. */
export interface SocketClient {
  /** None: the first frame brings a credential. */
  readonly authority: Authority | undefined;
  /** @throws {Problem} why the credential is refused. */
  authenticate(credential: string): Promise<Authority>;
  /** Counts a publish by `authority`. @throws {Problem} `rate_limited` */
  published(authority: Authority, bytes: number): void;
  /** Counts subscriptions by `authority`. @throws {Problem} `rate_limited` */
  subscribed(authority: Authority, channels: number): void;
  /** Told what `authority` asked for without the right to it. */
  denied(authority: Authority, detail: string): void;
  /** Called once the socket has ended. */
  left(): void;
}

/** A subscription of the socket: to one channel, or to several under one cursor. */
interface Group {
  readonly channels: number;
  /** In the order of the channels; those that lost their right have gone. */
  readonly subscriptions: Map<Channel, Subscription>;
  isStarted: boolean;
  isEnded: boolean;
}

/** One client of `weir.v1` (docs/protocol.md). It lives as long as its socket. */
export class SocketSession implements Holder {
  readonly #options: SocketOptions;
  readonly #socket: WebSocket;
  readonly #client: SocketClient;
  readonly #id = crypto.randomUUID();
  /** None until there is a credential. */
  #session: Session | undefined;
  /** The verification under way: what comes behind it waits for it. */
  #authenticating: Promise<void> | undefined;
  #waiting = 0;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  readonly #groups = new Map<string, Group>();
  #channels = 0;
  #publishes = 0;
  #isClosed = false;

  constructor(socket: WebSocket, client: SocketClient, options: SocketOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#client = client;
    options.sessions.add(this);
    if (client.authority !== undefined) this.#admit(client.authority);
    else this.#deadline = setTimeout(() => void this.close("unauthenticated"), AUTH_MS);
    socket.onopen = () => {
      this.#send({ op: "welcome", session: this.#id, heartbeat: options.heartbeat });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    // A peer that answers no ping is an error: a close may never come after it.
    socket.onclose = socket.onerror = () => this.#leave();
  }

  /** Says goodbye and closes. Resolves when the peer has closed too: if it is silent, never. */
  close(reason: GoodbyeReason): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#send({ op: "goodbye", retry: reconnectDelay(), reason });
    this.#leave();
    const code = reason === "slow" || reason === "stopping" ? reason : "unauthenticated";
    this.#socket.close(CLOSE[code], reason);
    return new Promise((resolve) => this.#socket.addEventListener("close", () => resolve()));
  }

  expiring(expiresIn: number): void {
    this.#send({ op: "token", expiresIn });
  }

  /** Ends the subscriptions that the credential doesn't allow any more. */
  changed(): void {
    for (const [key, group] of [...this.#groups]) this.#checkRights(key, group);
  }

  #checkRights(key: string, { isStarted, subscriptions }: Group): void {
    if (!isStarted) return; // looked at when all are there
    for (const [channel, subscription] of subscriptions) {
      if (this.#authority.may("subscribe", channel)) continue;
      subscription.close();
      subscriptions.delete(channel);
      this.#send({ op: "unsubscribed", channel, reason: "forbidden" });
    }
    if (subscriptions.size === 0) this.#end(key);
  }

  end(reason: EndReason): void {
    void this.close(reason);
  }

  #admit(authority: Authority): void {
    clearTimeout(this.#deadline);
    const isNobodyYet = this.#session?.authority.grant.kind === "anonymous" &&
      this.#groups.size === 0;
    if (this.#session !== undefined && !isNobodyYet) {
      return this.#session.replace(authority, Date.now());
    }
    this.#session?.[Symbol.dispose]();
    this.#session = this.#options.live.open(this.#id, authority, this);
  }

  /** @throws {Problem} `unauthenticated` */
  get #authority(): Authority {
    if (this.#session !== undefined) return this.#session.authority;
    throw new Problem("unauthenticated", `Say who you are first: {"op":"auth","token":…}.`);
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#deadline);
    this.#session?.[Symbol.dispose]();
    this.#client.left();
    for (const key of [...this.#groups.keys()]) this.#end(key);
    this.#options.sessions.delete(this);
  }

  #receive(frame: unknown): void {
    if (this.#isClosed) return;
    if (this.#socket.bufferedAmount > MAX_UNREAD_BYTES) return void this.close("slow");
    if (typeof frame !== "string") {
      return this.#refuse(undefined, new Problem("bad_frame", "Frames are text, not binary."));
    }
    if (frame.length > MAX_FRAME_CHARS) {
      const limit = `A frame has ${MAX_FRAME_CHARS} characters at the most.`;
      this.#refuse(undefined, new Problem("frame_too_large", limit));
      this.#leave();
      return this.#socket.close(CLOSE.frameTooLarge, "frame too large");
    }
    const lines = frame.split("\n", MAX_FRAME_MESSAGES + 1);
    if (lines.length > MAX_FRAME_MESSAGES) {
      const limit = `A frame has ${MAX_FRAME_MESSAGES} messages at the most.`;
      return this.#refuse(undefined, new Problem("bad_frame", limit));
    }
    for (const line of lines) {
      const message = parseMessage(line);
      if ("problem" in message) this.#refuse(message.ref, message.problem);
      else void this.#inOrder(message).catch((cause) => this.#fail(message.ref, cause));
    }
  }

  /** Behind a credential that is being verified, in the order in which the messages came. */
  async #inOrder(message: ClientMessage): Promise<void> {
    if (this.#authenticating !== undefined) {
      if (this.#waiting >= MAX_WAITING) {
        throw new Problem("overloaded", `${MAX_WAITING} messages wait for the credential already.`);
      }
      this.#waiting++;
      while (this.#authenticating !== undefined) await this.#authenticating;
      this.#waiting--;
      if (this.#isClosed) return; // it has gone, or its credential has ended, meanwhile
    }
    await this.#handle(message);
  }

  /** In the same tick up to the first wait, so that publishes keep the order of their frames. */
  async #handle(message: ClientMessage): Promise<void> {
    switch (message.op) {
      case "subscribe":
        return await this.#subscribe(message);
      case "unsubscribe":
        return this.#unsubscribe(message);
      case "publish":
        return await this.#publish(message);
      case "auth":
        this.#authenticating = this.#authenticate(message).finally(() => {
          this.#authenticating = undefined;
        });
        return await this.#authenticating;
      case "ping":
        return this.#send({ op: "pong", ...message.ref !== undefined && { ref: message.ref } });
    }
  }

  async #authenticate({ ref, token }: ClientMessage & { op: "auth" }): Promise<void> {
    try {
      const authority = await this.#client.authenticate(token);
      if (this.#isClosed) return;
      this.#admit(authority);
      const { expiresAt } = authority.grant;
      this.#send({
        op: "authenticated",
        ...ref !== undefined && { ref },
        ...expiresAt !== undefined && { expiresIn: expiresAt - Date.now() },
      });
    } catch (cause) {
      this.#fail(ref, cause);
      if (this.#session === undefined) void this.close("unauthenticated");
    }
  }

  async #publish(message: ClientMessage & { op: "publish" }): Promise<void> {
    const { op: _, ref, ...publication } = message;
    const authority = this.#authority;
    const draft = draftOfPublication(authority.tenant, publication);
    authority.require("publish", channelOf(draft.address));
    this.#client.published(authority, draft.bytes);
    if (this.#publishes >= MAX_PUBLISHES) {
      throw new Problem("overloaded", `${MAX_PUBLISHES} publishes wait for their answer already.`);
    }
    this.#publishes++;
    try {
      const [appended] = await this.#options.append([draft]);
      if (appended === undefined) throw new Error("one draft has one answer");
      const { offset, id, duplicate } = appended;
      this.#send({ op: "ack", ref, offset, id, ...duplicate && { duplicate } });
    } finally {
      this.#publishes--;
    }
  }

  async #subscribe(message: ClientMessage & { op: "subscribe" }): Promise<void> {
    const { ref, after = "latest" } = message;
    const authority = this.#authority;
    const { key, addresses } = this.#target(authority.tenant, message);
    for (const address of addresses) authority.require("subscribe", channelOf(address));
    this.#client.subscribed(authority, addresses.length);
    if (this.#groups.has(key)) {
      throw new Problem(
        "subscribed_already",
        `This socket is subscribed to ${quote(key)} already.`,
      );
    }
    if (this.#channels + addresses.length > MAX_SOCKET_CHANNELS) {
      throw new Problem(
        "too_many_channels",
        `A socket has ${MAX_SOCKET_CHANNELS} channels at the most.`,
      );
    }
    const channels = addresses.map(channelOf);
    const start = parseAfter(after, channels);
    const group: Group = {
      channels: addresses.length,
      subscriptions: new Map(),
      isStarted: false,
      isEnded: false,
    };
    this.#groups.set(key, group);
    this.#channels += addresses.length;
    try {
      const positions = await startPositions(this.#options.hub, addresses, start);
      const vector = new Vector(channels, positions);
      for (const [i, address] of addresses.entries()) {
        const encode: Encoder<string> = message.channels === undefined
          ? (run) => run.encode(socketMessage)
          : (run) => vectorMessage(run, i, vector);
        const sink = this.#sink(key, encode);
        const position = positions[i] ?? "latest";
        const subscription = await this.#options.hub.subscribe(address, position, sink);
        group.subscriptions.set(channelOf(address), subscription);
        if (group.isEnded) subscription.close(); // unsubscribed, or gone, meanwhile
      }
    } catch (cause) {
      this.#end(key);
      throw cause;
    }
    if (group.isEnded) return;
    const [first] = group.subscriptions.values();
    const positions = [...group.subscriptions.values()].map(({ position }) => position);
    this.#send(
      message.channels === undefined && first !== undefined
        ? { op: "subscribed", ref, channel: channels[0], offset: offsetOf(first.position) }
        : { op: "subscribed", ref, channels, cursor: formatCursor(channels, positions) },
    );
    for (const subscription of group.subscriptions.values()) subscription.start();
    group.isStarted = true;
    this.#checkRights(key, group); // they may have changed meanwhile
  }

  #unsubscribe(message: ClientMessage & { op: "unsubscribe" }): void {
    const { key } = this.#target(this.#authority.tenant, message);
    if (!this.#end(key)) {
      throw new Problem("not_subscribed", `This socket is not subscribed to ${quote(key)}.`);
    }
    this.#send({ op: "unsubscribed", ref: message.ref });
  }

  #target(
    tenant: Tenant,
    { channel, channels }: { channel?: string | undefined; channels?: string[] | undefined },
  ): {
    readonly key: string;
    readonly addresses: readonly Address[];
  } {
    if ((channel === undefined) === (channels === undefined)) {
      throw new Problem("bad_message", `Give either "channel" or "channels".`);
    }
    const names = channels === undefined ? [channel ?? ""] : [...new Set(channels)].sort();
    if (names.length > MAX_CURSOR_CHANNELS) {
      throw new Problem(
        "too_many_channels",
        `A subscription has ${MAX_CURSOR_CHANNELS} channels at the most.`,
      );
    }
    const addresses = names.map((name) => addressOf(tenant, parseReadableChannel(name)));
    return { key: channels === undefined ? names[0] ?? "" : JSON.stringify(names), addresses };
  }

  #end(key: string): boolean {
    const group = this.#groups.get(key);
    if (group === undefined) return false;
    this.#groups.delete(key);
    this.#channels -= group.channels;
    group.isEnded = true;
    for (const subscription of group.subscriptions.values()) subscription.close();
    return true;
  }

  #sink(key: string, encode: Encoder<string>): Sink {
    return {
      write: (runs) => this.#write(runs, encode),
      hasRoom: () => this.#hasRoom(),
      drained: () => this.#options.drains.wait(() => this.#hasRoom()),
      close: (reason) => {
        this.#end(key);
        void this.close(reason);
      },
    };
  }

  #write(runs: readonly Run[], encode: Encoder<string>): boolean {
    if (this.#isClosed) return true;
    const [only] = runs;
    const text = runs.length === 1 && only !== undefined
      ? encode(only)
      : runs.map(encode).join("\n");
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
    return this.#hasRoom();
  }

  #hasRoom(): boolean {
    return this.#isClosed || this.#socket.bufferedAmount < QUEUE_BYTES;
  }

  #send(message: { readonly op: string; readonly [member: string]: unknown }): void {
    if (this.#isClosed || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(message));
  }

  #fail(ref: Ref | undefined, cause: unknown): void {
    if (cause instanceof Problem) {
      const authority = this.#session?.authority;
      if (cause.code === "forbidden" && authority !== undefined) {
        this.#client.denied(authority, cause.detail);
      }
      return this.#refuse(ref, cause);
    }
    this.#options.onError(cause);
    this.#refuse(ref, new Problem("internal", "Something went wrong here; it was logged."));
  }

  #refuse(ref: Ref | undefined, { code, detail }: Problem): void {
    this.#send({ op: "error", ...ref !== undefined && { ref }, code, detail });
  }
}

/** The messages of one run of one of several channels: each with the cursor over them all. */
function vectorMessage(run: Run, index: number, vector: Vector): string {
  const cursorAt = (sequence: number) => vector.at(index, run.epoch, sequence);
  const lines = run.gap === undefined
    ? []
    : [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursorAt(run.after)}"}`];
  run.encode(jsonMembers).forEach((members, at) => {
    lines.push(`{"op":"event",${members},"cursor":"${cursorAt(run.after + at + 1)}"}`);
  });
  return lines.join("\n");
}
