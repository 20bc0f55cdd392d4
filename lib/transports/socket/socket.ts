import type { ConnectionHandler, Connections, EndReason } from "../../auth/connections.ts";
import { MAX_TOKEN_CHARS } from "../../auth/token_verifier.ts";
import type { Hub } from "../../hub/hub.ts";
import { draftOfPublication } from "../../publish/draft.ts";
import { ephemeralEventOf } from "../../publish/ephemeral_draft.ts";
import type { AppendedEvent, Draft } from "../../log/log.ts";
import { channelOf, type Tenant } from "../../shared/channel.ts";
import { MAX_EVENT_BYTES } from "../../shared/event.ts";
import { Problem } from "../../shared/problem.ts";
import type { DrainPoller } from "./drain_poller.ts";
import type { EphemeralPublisher } from "../../hub/ephemeral_publisher.ts";
import { type GoodbyeReason, reconnectDelay } from "../goodbye.ts";
import type { Presence } from "../../presence/presence.ts";
import { SocketAdmission } from "./admission.ts";
import type { SocketClient } from "./client.ts";
import { type ClientMessage, type MessageOf, parseMessage, type Ref } from "./message.ts";
import { SocketMembers } from "./members.ts";
import { SocketOutput } from "./output.ts";
import { RefusalCounter } from "./refusal_counter.ts";
import { SocketSubscriptions } from "./subscriptions.ts";

export const SUBPROTOCOL = "weir.v1";

/** Close codes of `weir.v1`, in the range that RFC 6455 §7.4.2 leaves to applications. */
const CLOSE_CODES: Readonly<Record<GoodbyeReason, number>> = {
  stopping: 4000,
  slow: 4001,
  expired: 4401,
  forbidden: 4401,
  revoked: 4401,
  unauthenticated: 4401,
  flooding: 4429,
};
const FRAME_TOO_LARGE = 4002;

/** A frame has an event at the most, escaped, and its names. Met: one frame that fills memory. */
const MAX_FRAME_CHARS = 2 * MAX_EVENT_BYTES;
/**
 * A frame of who has not said who it is yet: a credential, and what may go out with it. Met: the
 * same from anyone at all.
 */
const MAX_UNKNOWN_FRAME_CHARS = MAX_TOKEN_CHARS + 1_024;
/** Messages in one frame. Met: one frame that holds up everybody else. */
const MAX_FRAME_MESSAGES = 256;
/** Publishes of one socket without their answer. Met: one socket that takes the whole queue. */
const MAX_PUBLISHES = 1_024;
/** Bytes that wait for a socket whose client goes on asking. Met: requests, and nobody who reads. */
const MAX_UNREAD_BYTES = 16 * MAX_EVENT_BYTES;

/** What all sockets of an isolate share. */
export interface SocketOptions {
  readonly hub: Hub;
  readonly connections: Connections;
  readonly presence: Pick<Presence, "join" | "leave" | "disconnect">;
  readonly drainPoller: DrainPoller;
  readonly append: (drafts: readonly Draft[]) => Promise<readonly AppendedEvent[]>;
  readonly ephemeral: EphemeralPublisher;
  /** Milliseconds between two pings, which the runtime sends. */
  readonly heartbeatMs: number;
  /** Told of what nobody foresaw, and at whose message. */
  readonly onError: (cause: unknown, tenant: Tenant | undefined) => void;
  /** Told that a publish was refused. @default nobody wants to know */
  readonly onRefused?: () => void;
  /** All that are open. */
  readonly sockets: Set<Socket>;
}

/** One client of `weir.v1` (docs/protocol.md). It lives as long as its socket. */
export class Socket implements ConnectionHandler {
  readonly #options: SocketOptions;
  readonly #socket: WebSocket;
  readonly #client: SocketClient;
  readonly #output: SocketOutput;
  readonly #admission: SocketAdmission;
  readonly #subscriptions: SocketSubscriptions;
  readonly #members: SocketMembers;
  #refusals: RefusalCounter | undefined;
  #publishes = 0;

  constructor(socket: WebSocket, client: SocketClient, options: SocketOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#client = client;
    const { hub, connections, drainPoller } = options;
    const id = crypto.randomUUID();
    const close = (reason: GoodbyeReason) => void this.close(reason);
    const output = this.#output = new SocketOutput(socket, drainPoller);
    const subscriptions = new SocketSubscriptions({ hub, client, output, close });
    this.#subscriptions = subscriptions;
    const members = this.#members = new SocketMembers({
      presence: options.presence,
      client,
      output,
      fail: (cause) => options.onError(cause, this.#admission.authority.tenant),
    });
    this.#admission = new SocketAdmission({
      id,
      client,
      connections,
      handler: this,
      output,
      isIdle: () => subscriptions.isEmpty && members.isEmpty,
      fail: (ref, cause) => this.#fail(ref, cause),
      close,
    });
    options.sockets.add(this);
    socket.onopen = () => {
      output.send({ op: "welcome", session: id, heartbeat: options.heartbeatMs });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    // A peer that answers no ping is an error: a close may never come after it.
    socket.onclose = socket.onerror = () => this.#leave();
  }

  /** Says goodbye and closes. Resolves when the peer has closed too: if it is silent, never. */
  close(reason: GoodbyeReason): Promise<void> {
    if (this.#output.isClosed) return Promise.resolve();
    this.#output.send({ op: "goodbye", retry: reconnectDelay(), reason });
    this.#leave();
    this.#socket.close(CLOSE_CODES[reason], reason);
    return new Promise((resolve) => this.#socket.addEventListener("close", () => resolve()));
  }

  expiring(expiresIn: number): void {
    this.#output.send({ op: "token", expiresIn });
  }

  changed(): void {
    this.#subscriptions.checkRights(this.#admission.authority);
    this.#members.checkRights(this.#admission.authority);
  }

  end(reason: EndReason): void {
    void this.close(reason);
  }

  #leave(): void {
    if (this.#output.isClosed) return;
    this.#output.close();
    this.#admission[Symbol.dispose]();
    this.#client.left();
    this.#subscriptions.close();
    this.#members.close();
    this.#options.sockets.delete(this);
  }

  #receive(frame: unknown): void {
    if (this.#output.isClosed) return;
    if (this.#socket.bufferedAmount > MAX_UNREAD_BYTES) return void this.close("slow");
    if (typeof frame !== "string") {
      return this.#refuse(undefined, new Problem("bad_frame", "Frames are text, not binary."));
    }
    if (frame.length > this.#maxFrameChars) return this.#refuseFrame();
    const lines = frame.split("\n", MAX_FRAME_MESSAGES + 1);
    if (lines.length > MAX_FRAME_MESSAGES) {
      const limit = `A frame has ${MAX_FRAME_MESSAGES} messages at the most.`;
      return this.#refuse(undefined, new Problem("bad_frame", limit));
    }
    for (const line of lines) {
      if (this.#output.isClosed) return;
      const message = parseMessage(line);
      if ("problem" in message) this.#refuse(message.ref, message.problem);
      else this.#admission.inOrder(line.length, () => this.#handle(message));
    }
  }

  get #maxFrameChars(): number {
    return this.#admission.isKnown ? MAX_FRAME_CHARS : MAX_UNKNOWN_FRAME_CHARS;
  }

  #refuseFrame(): void {
    const until = this.#admission.isKnown ? "" : " before the answer to its first auth";
    const limit = `A frame has ${this.#maxFrameChars} characters at the most${until}.`;
    this.#refuse(undefined, new Problem("frame_too_large", limit));
    this.#leave();
    this.#socket.close(FRAME_TOO_LARGE, "frame too large");
  }

  #handle(message: ClientMessage): void {
    try {
      this.#begin(message)?.catch((cause) => this.#failed(message, cause));
    } catch (cause) {
      this.#failed(message, cause);
    }
  }

  #failed({ op, ref }: ClientMessage, cause: unknown): void {
    if (op === "publish") this.#options.onRefused?.();
    this.#fail(ref, cause);
  }

  /** In the same tick up to the first wait, so that publishes keep the order of their frames. */
  #begin(message: ClientMessage): Promise<void> | undefined {
    switch (message.op) {
      case "subscribe":
        return this.#subscriptions.add(this.#admission.authority, message);
      case "unsubscribe":
        this.#subscriptions.remove(this.#admission.authority, message);
        return;
      case "publish":
        return this.#publish(message);
      case "enter":
        return this.#members.enter(this.#admission.authority, message);
      case "leave":
        return this.#members.leave(this.#admission.authority, message);
      case "auth":
        return this.#admission.authenticate(message);
      case "ping":
        this.#output.send({ op: "pong", ...message.ref !== undefined && { ref: message.ref } });
    }
  }

  async #publish(message: MessageOf<"publish">): Promise<void> {
    const { op: _, ref, ephemeral, ...publication } = message;
    const authority = this.#admission.authority;
    const draft = draftOfPublication(authority.tenant, publication);
    authority.require("publish", channelOf(draft.channelKey));
    const event = ephemeral ? ephemeralEventOf(draft, Date.now(), "bad_message") : undefined;
    this.#client.published(authority, draft.bytes);
    if (event !== undefined) {
      this.#options.ephemeral.publish(draft.channelKey, event);
      return this.#output.send({ op: "ack", ref, ephemeral: true });
    }
    if (this.#publishes >= MAX_PUBLISHES) {
      throw new Problem("overloaded", `${MAX_PUBLISHES} publishes wait for their answer already.`);
    }
    this.#publishes++;
    try {
      const [appended] = await this.#options.append([draft]);
      if (appended === undefined) throw new Error("one draft has one answer");
      const { offset, id, duplicate } = appended;
      this.#output.send({ op: "ack", ref, offset, id, ...duplicate && { duplicate } });
    } finally {
      this.#publishes--;
    }
  }

  #fail(ref: Ref | undefined, cause: unknown): void {
    const authority = this.#admission.isKnown ? this.#admission.authority : undefined;
    if (cause instanceof Problem) {
      if (cause.code === "forbidden" && authority !== undefined) {
        this.#client.denied(authority, cause.detail);
      }
      return this.#refuse(ref, cause);
    }
    this.#options.onError(cause, authority?.tenant);
    this.#refuse(ref, new Problem("internal", "Something went wrong here; it was logged."));
  }

  #refuse(ref: Ref | undefined, { code, detail }: Problem): void {
    this.#output.send({ op: "error", ...ref !== undefined && { ref }, code, detail });
    this.#refusals ??= new RefusalCounter();
    if (this.#refusals.add(code, performance.now())) void this.close("flooding");
  }
}
