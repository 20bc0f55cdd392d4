import type { TabSharing } from "../api.ts";
import type { ConnectionState } from "../core/state.ts";
import type { Call, Feed, FeedListener, Link } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { ObservableValue } from "../core/observable.ts";
import { PLATFORM } from "../core/platform.ts";
import { closedError } from "../core/errors.ts";
import { TabLeader } from "./leader.ts";
import type { Message, PlainError } from "./message.ts";
import { WeirError } from "../core/weir_error.ts";

/** With the version of what tabs say to each other: an old page may be open beside a new one. */
const PREFIX = "weir/2:";
/**
 * How long a leader may leave a "hello" unanswered, in ms, before a tab that is looked at takes the
 * lead. Met: one that its system has frozen, with the lock in its hands.
 */
const PATIENCE_MS = 5_000;

/**
 * Tabs of one origin that connect to one Weir with `tabs: sharedTabs(name)`, of the same name, share
 * one connection.
 */
export function sharedTabs(name: string): TabSharing {
  return (base, open) => shareLink(`${name}:${base}`, open);
}

/**
 * A link that all tabs of this origin share that use the same name: one of them has the connection,
 * by `open()`, and the others ask it over a BroadcastChannel. Who leads holds a lock, which another
 * tab gets when it closes or dies, or takes when it does not answer; that one is asked again from
 * where each reader stands.
 *
 * Where there are no Web Locks (they need HTTPS or localhost) this is a link of its own.
 */
export function shareLink(name: string, open: () => Link): Link {
  const { navigator, BroadcastChannel } = globalThis;
  const isShareable = navigator?.locks !== undefined && BroadcastChannel !== undefined;
  return isShareable ? new TabLink(`${PREFIX}${name}`, open) : open();
}

type Told = Extract<Message, { kind: "told" }>;

interface Reader {
  /** Of what the leader was asked for last; none while paused. */
  id: string | undefined;
  readonly channel: string;
  after: string;
  isStarted: boolean;
  readonly listener: FeedListener;
}

interface Pending {
  readonly call: Call;
  isSent: boolean;
  settle(answer: JsonObject | undefined, cause?: unknown): void;
}

class TabLink implements Link {
  readonly state = new ObservableValue<ConnectionState>({ status: "idle" });
  readonly #name: string;
  readonly #open: () => Link;
  readonly #tab = crypto.randomUUID();
  readonly #channel: BroadcastChannel;
  readonly #readers = new Set<Reader>();
  readonly #calls = new Map<string, Pending>();
  readonly #ended = new AbortController();
  readonly #formerReigns = new Set<string>();
  /** Of the tab that leads, from when it took the lead. */
  #reign: string | undefined;
  /** Where this tab leads. */
  #own: string | undefined;
  #link: Link | undefined;
  #leader: TabLeader | undefined;
  /** Lets another tab lead. */
  #release = () => {};
  /** Whether the leader was asked for a sign of life that it has not given. */
  #isAsked = false;

  constructor(name: string, open: () => Link) {
    const { signal } = this.#ended;
    this.#name = name;
    this.#open = open;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    const timer = setInterval(() => this.#checkLeader(), PATIENCE_MS);
    onAbort(signal, () => clearInterval(timer));
    // As long as it holds the lock of its own name this tab lives.
    navigator.locks.request(name + this.#tab, () => {
      this.#say({ kind: "hello", tab: this.#tab });
      this.#queue({ signal });
      return new Promise<void>((resolve) => onAbort(signal, resolve));
    }).catch(() => this.#lead()); // locks are refused to this page: it connects by itself
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const reader: Reader = { id: undefined, channel, after, isStarted: false, listener };
    const resume = () => {
      if (reader.id === undefined && this.#readers.has(reader)) this.#read(reader);
    };
    const pause = () => {
      if (reader.id !== undefined) this.#say({ kind: "stop", id: reader.id });
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

  async call(call: Call, signal?: AbortSignal): Promise<JsonObject> {
    signal?.throwIfAborted();
    if (this.#ended.signal.aborted) throw closedError();
    return await new Promise((resolve, reject) => {
      const id = crypto.randomUUID();
      const settle = (answer: JsonObject | undefined, cause?: unknown) => {
        this.#calls.delete(id);
        forget();
        if (answer !== undefined) resolve(answer);
        else reject(cause);
      };
      this.#calls.set(id, { call, isSent: false, settle });
      const forget = onAbort(signal, () => settle(undefined, signal?.reason));
      this.#ask();
    });
  }

  async close(error?: WeirError): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const why = error ?? closedError();
    this.#ended.abort();
    this.state.set({ status: "closed", ...(error && { error }) });
    for (const { settle } of this.#calls.values()) settle(undefined, why);
    for (const { listener } of this.#readers) listener.ended(why);
    await this.#link?.close(error);
    this.#channel.close();
    this.#release();
  }

  /** Leads when it gets the lock; and when it has lost that to another, in turn again. */
  #queue(options: LockOptions): void {
    navigator.locks.request(this.#name, options, () => this.#lead()).catch((cause) => {
      if (this.#ended.signal.aborted || cause.name !== "AbortError") return;
      this.#abdicate();
      if (!options.steal) this.#queue(options); // who steals waits for its turn besides
    });
  }

  /** Until this tab is closed, or another takes the lead. */
  #lead(): Promise<void> {
    if (this.#ended.signal.aborted || this.#link) return Promise.resolve();
    const link = this.#link = this.#open();
    this.#own = crypto.randomUUID();
    const say = (message: Message) => this.#link === link && this.#say(message);
    this.#leader = new TabLeader(link, say, (tab, gone) => {
      if (tab === this.#tab) return;
      const { signal } = this.#ended;
      navigator.locks.request(this.#name + tab, { signal }, gone)
        .catch(() => {}); // this tab ends first
    });
    link.state.subscribe(() => this.#announce());
    this.#announce();
    return new Promise((resolve) => this.#release = resolve);
  }

  /** Its connection ends, and nobody hears of that: all ask the tab that leads now. */
  #abdicate(): void {
    const link = this.#link;
    this.#link = this.#leader = this.#own = undefined;
    void link?.close();
  }

  /** Takes the lead from a tab that gives no sign of life, where this one is looked at. */
  #checkLeader(): void {
    const isNeeded = this.#link === undefined && !PLATFORM.isHidden();
    if (isNeeded && this.#isAsked) this.#queue({ steal: true });
    this.#isAsked = isNeeded && !this.#isAsked;
    if (this.#isAsked) this.#say({ kind: "hello", tab: this.#tab });
  }

  #announce(): void {
    const state = this.#link?.state.value;
    // For good: another tab may do better, with its own credential.
    if (state?.status === "closed") void this.close(state.error);
    else if (state !== undefined && this.#own !== undefined) {
      const plain = "error" in state ? { ...state, error: { ...state.error } } : state;
      this.#say({ kind: "lead", reign: this.#own, state: plain });
    }
  }

  #say(message: Message): void {
    if (this.#ended.signal.aborted) return;
    this.#channel.postMessage(message);
    this.#hear(message);
  }

  #hear(message: Message): void {
    switch (message.kind) {
      case "hello":
        return this.#announce();
      case "lead":
        return this.#follow(message);
      case "answer": {
        const { answer, error } = message;
        return this.#calls.get(message.id)?.settle(answer, error && weirError(error));
      }
      case "told":
        for (const reader of this.#readers) {
          if (message.ids.includes(reader.id ?? "")) this.#tell(reader, message);
        }
        return;
      default:
        this.#leader?.hear(message);
    }
  }

  #follow({ reign, state }: Extract<Message, { kind: "lead" }>): void {
    if (this.#formerReigns.has(reign)) return;
    this.#isAsked = false;
    if (reign !== this.#own) this.#abdicate();
    const isNew = reign !== this.#reign;
    if (isNew || state.status !== "open") {
      for (const reader of this.#readers) reader.isStarted = false; // it is told when it goes on
    }
    if (isNew) {
      this.#formerReigns.add(this.#reign ?? "");
      this.#reign = reign;
      const gone = new WeirError("unreachable", "The tab with the connection has gone.");
      for (const { isSent, settle } of this.#calls.values()) if (isSent) settle(undefined, gone);
      this.#ask();
      for (const reader of this.#readers) if (reader.id !== undefined) this.#read(reader);
    }
    this.state.set("error" in state ? { ...state, error: weirError(state.error) } : state);
  }

  /** Hands what was not sent yet to the leader. */
  #ask(): void {
    for (const [id, pending] of this.#calls) {
      if (pending.isSent || this.#reign === undefined) continue;
      pending.isSent = true;
      this.#say({ kind: "call", tab: this.#tab, id, call: pending.call });
    }
  }

  /** Goes on from where it stands, once there is a leader. */
  #read(reader: Reader): void {
    const { channel, after } = reader;
    const id = reader.id = crypto.randomUUID();
    if (this.#reign === undefined) return;
    this.#say({ kind: "read", tab: this.#tab, id, channel, after });
  }

  #tell(reader: Reader, { position, news: [method, ...told] }: Told): void {
    const { listener, isStarted } = reader;
    reader.after = position ?? reader.after;
    reader.isStarted = true;
    if (method === "ended") {
      this.#readers.delete(reader);
      listener.ended(weirError(told[0] as PlainError));
    } else if (method !== "started" || !isStarted) {
      // Method and arguments belong together: the type of a message says so, but not after this.
      (listener[method] as (...told: readonly unknown[]) => void)(...told);
    }
  }
}

function weirError(error: PlainError): WeirError {
  return new WeirError(error.code, error.detail, error);
}
