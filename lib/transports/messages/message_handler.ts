import type { ConnectionHandler, Connections, EndReason } from "../../auth/connections.ts";
import type { EphemeralPublisher } from "../../hub/ephemeral_publisher.ts";
import type { Hub } from "../../hub/hub.ts";
import type { AppendedEvent, Draft } from "../../log/log.ts";
import { parseSignal } from "../../rtc/signal.ts";
import type { Signals } from "../../rtc/signals.ts";
import { draftOfPublication } from "../../publish/draft.ts";
import { ephemeralEventOf } from "../../publish/ephemeral_draft.ts";
import { channelOf, type Tenant } from "../../shared/channel.ts";
import { Problem } from "../../shared/problem.ts";
import { retryAfterMs } from "../../shared/retry_after.ts";
import type { GoodbyeReason } from "../goodbye.ts";
import { ClientAdmission } from "./admission.ts";
import type { MessageClient } from "./client.ts";
import { ClientMembers, type MemberPresence } from "./members.ts";
import {
  type ClientMessage,
  type MessageOf,
  parseLargeMessage,
  parseMessage,
  type Ref,
} from "./message.ts";
import type { MessageTracer } from "./message_tracer.ts";
import type { MessageOutput } from "./output.ts";
import { RefusalCounter } from "./refusal_counter.ts";
import { ClientSubscriptions } from "./subscriptions.ts";
import { RECEIVED_STEP_BYTES } from "../../shared/webtransport.ts";
import { WindowCounter } from "./window_counter.ts";

/** Publishes of one client that wait for their answer. Guards against a client that fills the queue. */
const MAX_PUBLISHES = 1_024;
/**
 * Pings of one client in ten seconds. Guards against floods of pings, which count against no other
 * limit.
 */
const MAX_PINGS = 300;
/**
 * Messages in ten seconds that acknowledge fewer bytes than a client gathers. Guards against floods
 * of them, as above.
 */
const MAX_SMALL_ACKNOWLEDGEMENTS = 300;
/**
 * Messages of a client that are answered before its first `auth`. Guards against anyone who keeps
 * the server busy without a credential.
 */
const MAX_UNAUTHENTICATED_ANSWERS = 16;

/** The parts of the isolate that messages act on. */
export interface MessageHandlerParts {
  readonly hub: Hub;
  readonly connections: Connections;
  readonly presence: MemberPresence;
  readonly signals: Pick<Signals, "send">;
  readonly append: (drafts: readonly Draft[]) => Promise<readonly AppendedEvent[]>;
  readonly ephemeral: EphemeralPublisher;
  /** Called with an unexpected error, and the tenant whose message caused it. */
  readonly onError: (cause: unknown, tenant: Tenant | undefined) => void;
  /** Called when a publish is refused. @default undefined */
  readonly onRefused?: () => void;
  /** @default undefined */
  readonly tracer?: MessageTracer | undefined;
  /** Called with each refusal. @default undefined */
  readonly onProblem?: (problem: Problem) => void;
}

interface MessageHandlerOptions {
  /** Names the connection. */
  readonly id: string;
  readonly client: MessageClient;
  readonly output: MessageOutput;
  readonly parts: MessageHandlerParts;
  /** Says goodbye and ends the connection. */
  readonly close: (reason: GoodbyeReason) => void;
}

/** Handles the messages of one client of `weir.v1`. It doesn't know which frames carry them. */
export class MessageHandler implements ConnectionHandler, Disposable {
  readonly #options: MessageHandlerOptions;
  readonly #admission: ClientAdmission;
  readonly #subscriptions: ClientSubscriptions;
  readonly #members: ClientMembers;
  #refusals: RefusalCounter | undefined;
  #pings: WindowCounter | undefined;
  #smallAcknowledgements: WindowCounter | undefined;
  #unauthenticatedAnswers = 0;
  #publishes = 0;

  constructor(options: MessageHandlerOptions) {
    this.#options = options;
    const { id, client, output, parts, close } = options;
    const { hub, connections, presence, onError } = parts;
    const subscriptions = new ClientSubscriptions({ hub, client, output, close });
    this.#subscriptions = subscriptions;
    const members = this.#members = new ClientMembers({
      presence,
      client,
      output,
      fail: (cause) => onError(cause, this.#admission.authority.tenant),
    });
    this.#admission = new ClientAdmission({
      id,
      client,
      connections,
      handler: this,
      output,
      isIdle: () => subscriptions.isEmpty && members.isEmpty,
      fail: (ref, cause) => this.#fail(ref, cause),
      close,
    });
  }

  /** Whether the client has an authority: it has authenticated, or needs no credential. */
  get isAuthenticated(): boolean {
    return this.#admission.isAuthenticated;
  }

  /** Handles one message, given as JSON text, and answers it. Never throws. */
  receive(text: string): void {
    this.#take(parseMessage(text, this.#parsing), text.length);
  }

  /** Does the same with a message of any length, in turns of the event loop. Never rejects. */
  async receiveLarge(text: string): Promise<void> {
    const { message, dataText } = await parseLargeMessage(text, this.#parsing);
    this.#take(message, text.length, dataText);
  }

  /** Does the same with what may arrive twice, late or not at all: an ephemeral event. */
  receiveDatagram(text: string): void {
    const message = parseMessage(text, this.#parsing);
    if ("problem" in message || (message.op === "publish" && message.ephemeral)) {
      return this.#take(message, text.length);
    }
    const detail = 'A datagram may only contain a publish with "ephemeral":true.';
    this.refuse(message.ref, new Problem("bad_message", detail));
  }

  get #parsing(): { readonly hasStreams: boolean } {
    return { hasStreams: this.#options.output.received !== undefined };
  }

  #take(message: ReturnType<typeof parseMessage>, chars: number, dataText?: string): void {
    if ("problem" in message) this.refuse(message.ref, message.problem);
    else this.#admission.inOrder(chars, () => this.#handle(message, dataText));
  }

  /** Answers with an error. Too many of them end the connection. */
  refuse(ref: Ref | undefined, problem: Problem): void {
    const { output, parts, close } = this.#options;
    const { code, detail } = problem;
    parts.onProblem?.(problem);
    output.send({ op: "error", ref, code, detail, retryAfter: retryAfterMs(problem) });
    if (!this.isAuthenticated) return this.#countUnauthenticated();
    this.#refusals ??= new RefusalCounter();
    if (this.#refusals.add(code, performance.now())) close("flooding");
  }

  expiring(expiresIn: number): void {
    this.#options.output.send({ op: "token", expiresIn });
  }

  changed(): void {
    this.#subscriptions.checkRights(this.#admission.authority);
    this.#members.checkRights(this.#admission.authority);
  }

  end(reason: EndReason): void {
    this.#options.close(reason);
  }

  /** Ends the client's subscriptions and disconnects its members. */
  [Symbol.dispose](): void {
    this.#admission[Symbol.dispose]();
    this.#subscriptions.close();
    this.#members.close();
  }

  #handle(message: ClientMessage, dataText?: string): void {
    try {
      const { tracer } = this.#options.parts;
      const handled = tracer === undefined
        ? this.#begin(message, dataText)
        : tracer.message(message, () => this.#begin(message, dataText));
      handled?.catch((cause) => this.#failed(message, cause));
    } catch (cause) {
      this.#failed(message, cause);
    }
  }

  #failed({ op, ref }: ClientMessage, cause: unknown): void {
    if (op === "publish") this.#options.parts.onRefused?.();
    this.#fail(ref, cause);
  }

  /** Runs synchronously up to the first wait, so that publishes keep the order of their frames. */
  #begin(message: ClientMessage, dataText?: string): Promise<void> | undefined {
    switch (message.op) {
      case "subscribe":
        return this.#subscriptions.add(this.#admission.authority, message);
      case "unsubscribe":
        this.#subscriptions.remove(this.#admission.authority, message);
        return;
      case "publish":
        return this.#publish(message, dataText);
      case "enter":
        return this.#members.join(this.#admission.authority, message);
      case "leave":
        return this.#members.leave(this.#admission.authority, message);
      case "signal":
        return this.#signal(message, dataText);
      case "auth":
        return this.#admission.authenticate(message);
      case "ping":
        return this.#pong(message);
      case "received":
        return this.#received(message);
    }
  }

  /** @throws {Problem} `rate_limited` */
  #pong({ ref }: MessageOf<"ping">): undefined {
    if (this.isAuthenticated) {
      this.#pings ??= new WindowCounter(MAX_PINGS);
      if (this.#pings.add(performance.now())) {
        throw new Problem("rate_limited", `A client may send at most ${MAX_PINGS} pings in 10 s.`);
      }
    }
    this.#options.output.send({ op: "pong", ...ref !== undefined && { ref } });
    if (!this.isAuthenticated) this.#countUnauthenticated();
  }

  /** @throws {Problem} `bad_message`, `rate_limited` */
  #received({ streams }: MessageOf<"received">): undefined {
    const bytes = this.#options.output.received?.(streams) ?? 0;
    if (bytes >= RECEIVED_STEP_BYTES) return;
    this.#smallAcknowledgements ??= new WindowCounter(MAX_SMALL_ACKNOWLEDGEMENTS);
    if (this.#smallAcknowledgements.add(performance.now())) {
      const detail = `Gather at least ${RECEIVED_STEP_BYTES} bytes for each acknowledgement.`;
      throw new Problem("rate_limited", detail);
    }
  }

  /** Counts an answer. Too many of them end the connection. */
  #countUnauthenticated(): void {
    this.#unauthenticatedAnswers++;
    if (this.#unauthenticatedAnswers > MAX_UNAUTHENTICATED_ANSWERS) {
      this.#options.close("flooding");
    }
  }

  async #publish(message: MessageOf<"publish">, dataText?: string): Promise<void> {
    const { client, output, parts } = this.#options;
    const { op: _, ref, ephemeral, ...publication } = message;
    const authority = this.#admission.authority;
    const { tenant } = authority;
    const publisher = this.#members.publisherOf(authority, publication.channel);
    const draft = draftOfPublication({ tenant, publisher }, publication, dataText);
    authority.require("publish", channelOf(draft.channelKey));
    const event = ephemeral ? ephemeralEventOf(draft, Date.now(), "bad_message") : undefined;
    client.published(authority, 1, draft.bytes);
    if (event !== undefined) {
      parts.ephemeral.publish(draft.channelKey, event);
      return output.send({ op: "ack", ref, ephemeral: true });
    }
    using _waiting = this.#waitForAnswer();
    const [appended] = await parts.append([draft]);
    if (appended === undefined) throw new Error("the log returned no result for the draft");
    const { offset, id, duplicate } = appended;
    output.send({ op: "ack", ref, offset, id, ...duplicate && { duplicate } });
  }

  async #signal(message: MessageOf<"signal">, dataText?: string): Promise<void> {
    const { client, output, parts } = this.#options;
    const authority = this.#admission.authority;
    const sender = this.#members.senderOf(authority, message);
    const signal = parseSignal(message, dataText);
    client.published(authority, 1, signal.bytes);
    using _waiting = this.#waitForAnswer();
    const sessions = await parts.signals.send({
      sender,
      signal,
      countCopies: (copies) => client.published(authority, copies, copies * signal.bytes),
    });
    output.send({ op: "ack", ref: message.ref, sessions });
  }

  /** Counts a publish or a signal until it is answered. @throws {Problem} `overloaded` */
  #waitForAnswer(): Disposable {
    if (this.#publishes >= MAX_PUBLISHES) {
      const detail = `${MAX_PUBLISHES} publishes of this client already wait for their answer.`;
      throw new Problem("overloaded", detail);
    }
    this.#publishes++;
    return { [Symbol.dispose]: () => void this.#publishes-- };
  }

  #fail(ref: Ref | undefined, cause: unknown): void {
    const authority = this.#admission.isAuthenticated ? this.#admission.authority : undefined;
    if (cause instanceof Problem) {
      if (cause.code === "forbidden" && authority !== undefined) {
        this.#options.client.denied(authority, cause.detail);
      }
      return this.refuse(ref, cause);
    }
    this.#options.parts.onError(cause, authority?.tenant);
    this.refuse(ref, new Problem("internal", "An unexpected error occurred. It has been logged."));
  }
}
