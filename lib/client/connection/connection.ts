import type { Credential } from "../api.ts";
import { type ConnectionState, type TransportName, TRANSPORTS } from "../core/state.ts";
import { fullJitter } from "../core/backoff.ts";
import { Channels } from "./channels.ts";
import { Credentials } from "./credentials.ts";
import type { Call, Feed, FeedListener, Link } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { ObservableValue, runCallback } from "../core/observable.ts";
import type { Platform } from "../core/platform.ts";
import { randomId } from "../core/random_id.ts";
import {
  closedError,
  isCredentialError,
  isFatal,
  toRequestError,
  unreachableError,
} from "../core/errors.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import type { ConnectionModules } from "./modules.ts";
import type { ConnectionContext, OpenTransport } from "./transport.ts";
import { WeirError } from "../core/weir_error.ts";
import { deadline, isTimeout } from "../core/deadline.ts";

/** Of the server, until it says another, in ms. */
const HEARTBEAT_MS = 15_000;
/** How long a transport may take to open, in ms; two heartbeats where those are shorter. */
const OPEN_LIMIT_MS = 10_000;
/** A connection that lived so long works: what was before is forgotten. In ms. */
const STABLE_MS = 10_000;
/** So many short lives in a row, and the next transport is tried. */
const MAX_SHORT_LIVES = 3;
/** Between two tries that events of the page bring about, in ms. Met: tabs that are flicked through. */
const MIN_PAUSE_MS = 1_000;
/** The least that a page waits which nobody looks at, in ms. */
const HIDDEN_WAIT_MS = 10_000;
/** The most that a server can make the client wait, in ms. Met: an answer that keeps it away for good. */
const MAX_RETRY_MS = 3_600_000;
/** How long closing waits for the other end, in ms. */
const CLOSE_LIMIT_MS = 1_000;

export interface ConnectionOptions {
  readonly auth?: (() => Credential | Promise<Credential>) | undefined;
  readonly transports?: readonly TransportName[] | undefined;
  /** Told what passes, and shows nowhere else. */
  readonly onError?: ((error: WeirError) => void) | undefined;
  readonly platform: Platform;
}

interface Choice {
  readonly name: TransportName;
  readonly open: OpenTransport;
}

/**
 * The {@link Link} over the network. It connects when there is something to read, by the first
 * transport that works, and stays connected until it is closed.
 */
export class Connection implements Link {
  readonly state = new ObservableValue<ConnectionState>({ status: "idle" });
  readonly left = new ObservableValue<JsonObject>({});
  readonly #platform: Platform;
  readonly #ways: ConnectionModules;
  readonly #transports: readonly Choice[];
  readonly #shared: ConnectionContext;
  readonly #unwatch: () => void;
  /** Names this client where it speaks over HTTP. */
  readonly #id = randomId();
  #session: Attempt | undefined;
  /** The transport that a try begins with. */
  #first = 0;
  #failures = 0;
  #refusals = 0;
  #shortLives = 0;
  /** Whether nobody answered, so that a transport that failed may work. */
  #wasAway = false;
  /** Aborts when the client is closed. */
  readonly #end = new AbortController();
  #isSyncing = false;
  #triedAt = 0;
  #checkedAt = 0;
  /** The supervisor waits no longer than it has to, or not at all. */
  #wake = () => {};
  #stop = () => {};
  /** Those that have not ended: the one that is read by, and those that are being opened. */
  readonly #sessions = new Set<Attempt>();
  /** What closing waits for. */
  readonly #released = new Set<Promise<unknown>>();

  constructor(
    base: URL,
    ways: ConnectionModules,
    { auth, transports = TRANSPORTS, onError, platform }: ConnectionOptions,
  ) {
    this.#platform = platform;
    this.#ways = ways;
    this.#transports = transports.flatMap((name) => {
      const open = ways.transports[name];
      const isThere = name !== "websocket" || platform.WebSocket;
      return open && isThere ? { name, open } : [];
    });
    const host = {
      platform,
      closed: this.#end.signal,
      report: (error: WeirError) => this.#closed || runCallback(() => onError?.(error)),
      fail: (error: WeirError) => void this.close(error),
    };
    const release = (work: Promise<unknown>) => {
      const settled = () => void this.#released.delete(work);
      this.#released.add(work);
      work.then(settled, settled);
    };
    this.#shared = {
      ...host,
      base,
      credentials: new Credentials(auth, host),
      channels: new Channels(() => this.#changed()),
      timing: { heartbeatMs: HEARTBEAT_MS },
      left: this.left,
      release,
    };
    this.#unwatch = platform.watch(() => this.#environmentChanged());
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const { channels } = this.#shared;
    const feed = channels.add(channel, after, listener);
    const closed = this.#closed;
    if (closed) queueMicrotask(() => channels.close(closed));
    else this.#start();
    return feed;
  }

  async call(call: Call, signal?: AbortSignal): Promise<JsonObject> {
    signal?.throwIfAborted();
    // A member is there as long as its socket is: worth waiting for one that is being opened.
    if (call.op === "enter" || call.op === "leave") await this.#settled();
    if (this.#closed) throw this.#closed;
    try {
      const ask = this.#session?.transport?.request;
      return await this.#ways.call(this.#shared, call, this.#id, signal, ask);
    } catch (cause) {
      signal?.throwIfAborted();
      if (this.#closed) throw this.#closed;
      throw isTimeout(cause) ? toRequestError(this.#shared.base, cause) : cause;
    }
  }

  async close(error?: WeirError): Promise<void> {
    const { channels, platform } = this.#shared;
    if (!this.#closed) {
      this.#end.abort(error ?? closedError());
      this.#unwatch();
      for (const session of this.#sessions) session.close();
      this.#stop();
      this.state.set({ status: "closed", ...error && { error } });
      channels.close(this.#end.signal.reason);
    }
    const released = Promise.allSettled(this.#released);
    await deadline(platform, CLOSE_LIMIT_MS, released).catch(() => {}); // whatever goes on longer
  }

  /** What is asked for after the end is refused with it. */
  get #closed(): WeirError | undefined {
    return this.#end.signal.reason;
  }

  #start(): void {
    if (this.state.value.status === "idle") this.#shared.release(this.#supervise());
  }

  /** Once it is known whether there is a connection. */
  #settled(): Promise<void> {
    this.#start();
    return new Promise((resolve) => {
      const look = ({ status }: ConnectionState) => {
        if (status === "connecting" || status === "idle") return;
        unwatch();
        resolve();
      };
      const unwatch = this.state.subscribe(look);
      look(this.state.value);
    });
  }

  /** Coalesces what one piece of the application's code subscribes to. */
  #changed(): void {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    queueMicrotask(() => {
      this.#isSyncing = false;
      this.#session?.transport?.update();
    });
  }

  async #supervise(): Promise<void> {
    while (!this.#closed) {
      if (!this.#platform.isOnline()) {
        this.state.set({ status: "offline" });
        await this.#pause(undefined, this.#triedAt + MIN_PAUSE_MS);
        continue;
      }
      const ended = await this.#connect();
      if (this.#closed) return;
      if (this.#isFinal(ended)) return void this.close(ended.error);
      if (this.#platform.isOnline()) await this.#backOff(ended.error);
    }
  }

  /** Tries the transports, and answers when the one that works, or the last, has ended. */
  async #connect(): Promise<AttemptEnd> {
    let ended: AttemptEnd = { error: unreachableError("No transport can be had here.") };
    for (const [i, { name }] of [...this.#transports.entries()].slice(this.#first)) {
      this.state.set({ status: "connecting", transport: name });
      this.#triedAt = this.#platform.now();
      const session = await this.#open(i);
      if (!session.signal.aborted) return await this.#live(session);
      ended = await session.ended;
      if (this.#closed || !this.#isWorthAnother(ended, i)) break;
    }
    this.#first = 0;
    return ended;
  }

  /**
   * Whether the next transport may do better. That nobody answers by HTTP means that the server is
   * away, unless it stays so.
   */
  #isWorthAnother({ error: { code, cause } }: AttemptEnd, index: number): boolean {
    if (code !== "unreachable" && code !== "bad_answer") return false;
    if (this.#transports[index]?.name === "websocket" || isTimeout(cause)) return true;
    this.#wasAway = true;
    return index <= this.#failures;
  }

  /** The session of a place in the list of transports, once it is open or has ended. */
  async #open(index: number): Promise<Attempt> {
    const { timing, release } = this.#shared;
    const { name, open } = this.#transports[index]!; // it is a place in the list
    const session = new Attempt(this.#shared, index, name);
    this.#sessions.add(session);
    void session.ended.then(() => this.#sessions.delete(session));
    const opened = session.open(open, Math.min(OPEN_LIMIT_MS, 2 * timing.heartbeatMs));
    release(opened);
    await opened;
    return session;
  }

  /** As long as there is an open session: this one, or a better one that takes over. */
  async #live(session: Attempt): Promise<AttemptEnd> {
    const { channels, credentials } = this.#shared;
    const wasAway = this.#wasAway;
    credentials.isAccepted = true;
    this.#session = session;
    this.#refusals = 0;
    this.#wasAway = false;
    while (true) {
      const current: Attempt = this.#session;
      const { index, name, transport } = current;
      const openedAt = this.#platform.now();
      const { progress } = channels;
      this.#first = index;
      this.state.set({ status: "open", transport: name });
      transport?.update();
      if (index > 0) this.#goUp(current, wasAway).catch(() => {}); // it can't be loaded
      const ended = await current.ended;
      if (this.#session !== current) continue;
      this.#session = undefined;
      channels.stopped();
      const isStable = this.#platform.now() - openedAt > STABLE_MS;
      if (isStable || channels.progress > progress) this.#failures = 0;
      this.#remember(index, ended, isStable);
      return ended;
    }
  }

  /** Goes over to a better transport than the one that runs, once one works. */
  async #goUp(current: Attempt, wasAway: boolean): Promise<void> {
    const open = (index: number) => this.#open(index);
    const better = await this.#ways.openBetterTransport?.(this.#platform, current, open, wasAway);
    if (current.signal.aborted) return better?.close();
    if (better === undefined) return;
    this.#session = better;
    current.close();
  }

  /** Which transport comes next, after one has ended. */
  #remember(index: number, { error, isGoodbye }: AttemptEnd, isStable: boolean): void {
    const isBlameless = isStable || isGoodbye || !this.#platform.isOnline();
    this.#shortLives = isBlameless ? 0 : this.#shortLives + 1;
    if (!isTimeout(error.cause) && this.#shortLives < MAX_SHORT_LIVES) return;
    this.#shortLives = 0;
    this.#first = Math.min(index + 1, this.#transports.length - 1);
  }

  /** Whether waiting mends nothing. */
  #isFinal({ error, isGoodbye }: AttemptEnd): boolean {
    if (isFatal(error) || this.#transports.length === 0) return true;
    if (isGoodbye || !isCredentialError(error)) return false;
    return !this.#shared.credentials.isRenewable || ++this.#refusals > 1;
  }

  async #backOff(error: WeirError): Promise<void> {
    const { now, random, isHidden } = this.#platform;
    const asked = Math.min(error.retryAfter ?? 0, MAX_RETRY_MS);
    let delay = fullJitter(this.#failures++, random);
    // Spread too: many were told the same.
    if (asked > 0) delay = Math.max(delay, asked + fullJitter(0, random));
    if (isHidden()) delay = Math.max(delay, HIDDEN_WAIT_MS * (1 + random()));
    const at = now();
    this.state.set({ status: "reconnecting", at: at + delay, delay, error });
    await this.#pause(delay, Math.max(at + asked, this.#triedAt + MIN_PAUSE_MS));
  }

  /** @param soonest when it may be ended by an event of the page, in ms since 1970. */
  #pause(milliseconds: number | undefined, soonest: number): Promise<void> {
    const { now, setTimeout, clearTimeout } = this.#platform;
    const most = soonest - now(); // also where the clock is set back meanwhile
    return new Promise((resolve) => {
      let timer: unknown;
      const wait = (milliseconds: number) => {
        clearTimeout(timer);
        timer = setTimeout(this.#stop, milliseconds);
      };
      this.#wake = () => wait(Math.max(0, Math.min(most, soonest - now())));
      this.#stop = () => {
        clearTimeout(timer);
        this.#wake = this.#stop = () => {};
        resolve();
      };
      if (this.#closed) this.#stop();
      else if (milliseconds !== undefined) wait(milliseconds);
    });
  }

  #environmentChanged(): void {
    const { now, isOnline, isHidden } = this.#platform;
    if (!isOnline()) {
      const error = unreachableError("There is no network.");
      for (const session of this.#sessions) session.down(error);
      this.#wake();
    } else if (!isHidden() || this.state.value.status === "offline") {
      this.#wake();
      if (Math.abs(now() - this.#checkedAt) < MIN_PAUSE_MS) return;
      this.#checkedAt = now();
      this.#session?.transport?.check();
    }
  }
}
