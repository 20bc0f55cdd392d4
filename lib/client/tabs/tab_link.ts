import { closedError } from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Call, Feed, FeedListener, Link } from "../core/link.ts";
import { ObservableValue } from "../core/observable.ts";
import type { ConnectionState } from "../core/state.ts";
import { WeirError } from "../core/weir_error.ts";
import { Election } from "./election.ts";
import { TabLeader } from "./leader.ts";
import type { PlainError, TabMessage, TabMessageOf } from "./message.ts";

interface TabReader {
  /** Id of the last read that the leader was asked for. Undefined while paused. */
  id: string | undefined;
  readonly channel: string;
  after: string;
  isStarted: boolean;
  readonly listener: FeedListener;
}

interface PendingCall {
  readonly call: Call;
  isSent: boolean;
  settle(answer: JsonObject | undefined, cause?: unknown): void;
}

/** What this tab has while it leads. */
interface Lead {
  /** Names the time since it took the lead. */
  readonly term: string;
  readonly link: Link;
  readonly leader: TabLeader;
  /** Lets another tab lead. */
  readonly release: () => void;
}

/** The link of one tab: to the connection of the tab that leads, which may be this one. */
export class TabLink implements Link {
  readonly state = new ObservableValue<ConnectionState>({ status: "idle" });
  readonly #open: () => Link;
  readonly #tab = crypto.randomUUID();
  readonly #channel: BroadcastChannel;
  readonly #election: Election;
  readonly #readers = new Set<TabReader>();
  readonly #calls = new Map<string, PendingCall>();
  readonly #ended = new AbortController();
  /** The current term of the leading tab. */
  #term: string | undefined;
  readonly #pastTerms = new Set<string>();
  /** Undefined while another tab leads. */
  #lead: Lead | undefined;

  constructor(name: string, open: () => Link) {
    this.#open = open;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#election = new Election({
      name,
      tab: this.#tab,
      signal: this.#ended.signal,
      hello: () => this.#post({ kind: "hello", tab: this.#tab }),
      isLeading: () => this.#lead !== undefined,
      lead: () => this.#takeLead(),
      onLost: () => this.#dropLead(),
    });
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const reader: TabReader = { id: undefined, channel, after, isStarted: false, listener };
    const resume = () => {
      if (reader.id === undefined && this.#readers.has(reader)) this.#read(reader);
    };
    const pause = () => {
      if (reader.id !== undefined) this.#post({ kind: "stop", id: reader.id });
      reader.id = undefined;
    };
    const close = () => {
      this.#readers.delete(reader);
      pause();
    };
    this.#readers.add(reader);
    const state = this.state.value;
    if (state.status === "closed") {
      queueMicrotask(() => listener.ended(state.error ?? closedError()));
    } else resume();
    return { pause, resume, close };
  }

  /** Only the leading tab has a connection to try again. */
  retry(): void {
    this.#lead?.link.retry();
  }

  async call(call: Call, signal?: AbortSignal): Promise<JsonObject> {
    signal?.throwIfAborted();
    if (this.#ended.signal.aborted) throw closedError();
    return await new Promise((resolve, reject) => {
      const id = crypto.randomUUID();
      const abort = () => settle(undefined, signal?.reason);
      const settle = (answer: JsonObject | undefined, cause?: unknown) => {
        this.#calls.delete(id);
        signal?.removeEventListener("abort", abort);
        if (answer !== undefined) resolve(answer);
        else reject(cause);
      };
      this.#calls.set(id, { call, isSent: false, settle });
      signal?.addEventListener("abort", abort);
      this.#sendCalls();
    });
  }

  async close(error?: WeirError): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const reason = error ?? closedError();
    const lead = this.#lead;
    this.#ended.abort();
    this.state.set({ status: "closed", ...(error && { error }) });
    for (const { settle } of this.#calls.values()) settle(undefined, reason);
    for (const { listener } of this.#readers) listener.ended(reason);
    await lead?.link.close(error);
    this.#channel.close();
    lead?.release();
  }

  /** Opens the connection. Resolves when this tab lets another one lead. */
  #takeLead(): Promise<void> {
    if (this.#ended.signal.aborted || this.#lead) return Promise.resolve();
    return new Promise((release) => {
      const link = this.#open();
      const post = (message: TabMessage) => this.#lead?.link === link && this.#post(message);
      const leader = new TabLeader(link, post, (tab, onGone) => {
        this.#election.watchTab(tab, onGone);
      });
      this.#lead = { term: crypto.randomUUID(), link, leader, release };
      link.state.onChange(() => this.#announce());
      this.#announce();
    });
  }

  /** Closes the connection silently: every tab asks the one that leads now. */
  #dropLead(): void {
    const lead = this.#lead;
    this.#lead = undefined;
    void lead?.link.close();
  }

  /** Tells all tabs that this one leads, and the state of its connection. */
  #announce(): void {
    if (this.#lead === undefined) return;
    const { term, link } = this.#lead;
    const state = link.state.value;
    // Another tab may succeed with its own credential.
    if (state.status === "closed") return void this.close(state.error);
    const plain = "error" in state ? { ...state, error: { ...state.error } } : state;
    this.#post({ kind: "lead", term, state: plain });
  }

  #post(message: TabMessage): void {
    if (this.#ended.signal.aborted) return;
    this.#channel.postMessage(message);
    this.#receive(message);
  }

  #receive(message: TabMessage): void {
    switch (message.kind) {
      case "hello":
        return this.#announce();
      case "lead":
        return this.#follow(message);
      case "answer": {
        const { answer, error } = message;
        return this.#calls.get(message.id)?.settle(answer, error && toWeirError(error));
      }
      case "deliver":
        for (const reader of this.#readers) {
          if (message.ids.includes(reader.id ?? "")) this.#deliver(reader, message);
        }
        return;
      default:
        this.#lead?.leader.receive(message);
    }
  }

  #follow({ term, state }: TabMessageOf<"lead">): void {
    if (this.#pastTerms.has(term)) return;
    this.#election.leaderIsAlive();
    if (term !== this.#lead?.term) this.#dropLead();
    const isNew = term !== this.#term;
    if (isNew || state.status !== "open") {
      for (const reader of this.#readers) reader.isStarted = false;
    }
    if (isNew) this.#beginTerm(term);
    this.state.set("error" in state ? { ...state, error: toWeirError(state.error) } : state);
  }

  /** Asks the new leader for everything that the last one was doing, except for calls. */
  #beginTerm(term: string): void {
    this.#pastTerms.add(this.#term ?? "");
    this.#term = term;
    const error = new WeirError("unreachable", "The tab with the connection is gone.");
    for (const { isSent, settle } of this.#calls.values()) if (isSent) settle(undefined, error);
    this.#sendCalls();
    for (const reader of this.#readers) if (reader.id !== undefined) this.#read(reader);
  }

  #sendCalls(): void {
    for (const [id, pending] of this.#calls) {
      if (pending.isSent || this.#term === undefined) continue;
      pending.isSent = true;
      this.#post({ kind: "call", tab: this.#tab, id, call: pending.call });
    }
  }

  /** Reads on from where the reader is, once there is a leader. */
  #read(reader: TabReader): void {
    const { channel, after } = reader;
    const id = reader.id = crypto.randomUUID();
    if (this.#term === undefined) return;
    this.#post({ kind: "read", tab: this.#tab, id, channel, after });
  }

  #deliver(
    reader: TabReader,
    { position, update: [method, ...args] }: TabMessageOf<"deliver">,
  ): void {
    const { listener, isStarted } = reader;
    reader.after = position ?? reader.after;
    reader.isStarted = true;
    if (method === "ended") {
      this.#readers.delete(reader);
      listener.ended(toWeirError(args[0] as PlainError));
    } else if (method !== "started" || !isStarted) {
      // The message's type says that method and arguments match, which destructuring loses.
      (listener[method] as (...args: readonly unknown[]) => void)(...args);
    }
  }
}

function toWeirError(error: PlainError): WeirError {
  return new WeirError(error.code, error.detail, error);
}
