import type { ConnectionState, Credential, TransportName } from "./api.ts";
import { fullJitter } from "./backoff.ts";
import { Channels } from "./channels.ts";
import { Credentials } from "./credentials.ts";
import type { Answer, Call, Feed, FeedListener, Link } from "./link.ts";
import { Value } from "./observable.ts";
import type { Platform } from "./platform.ts";
import { closedError, isCredentialRefusal, isFatal, unreachable } from "./refusal.ts";
import { type Ended, Session } from "./session.ts";
import type { OpenTransport, Shared, Ways } from "./transport.ts";
import { WeirError } from "./weir_error.ts";

/** Of the server, until it says another, in ms. */
const HEARTBEAT_MS = 15_000;
/** How long a transport may take to open, in ms; two heartbeats where those are shorter. */
const OPEN_LIMIT_MS = 10_000;
/** A connection that lived so long works: what was before is forgotten. In ms. */
const STABLE_MS = 10_000;
/** So many short lives in a row, and the next transport is tried. */
const MAX_SHORT_LIVES = 3;
/** A better transport is tried after so long, twice as long each time it fails, and at the most. In ms. */
const PROBE_MS = 30_000;
const MAX_PROBE_MS = 300_000;
/** The same where the server had been away, so that its failing says nothing. In ms. */
const FIRST_PROBE_MS = 2_000;
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
  readonly state = new Value<ConnectionState>({ status: "idle" });
  readonly #platform: Platform;
  readonly #ways: Ways;
  readonly #transports: readonly Choice[];
  readonly #shared: Shared;
  readonly #unwatch: () => void;
  /** Names this client where it speaks over HTTP. */
  readonly #id: string;
  #session: Session | undefined;
  /** The transport that a try begins with. */
  #first = 0;
  #failures = 0;
  #refusals = 0;
  #shortLives = 0;
  /** Whether nobody answered, so that a transport that failed may work. */
  #wasAway = false;
  #probeDelay = PROBE_MS;
  #isRunning = false;
  #isClosed = false;
  #whyClosed = closedError();
  #isSyncing = false;
  #triedAt = 0;
  #checkedAt = 0;
  /** The supervisor waits no longer than it has to, or not at all. */
  #wake = () => {};
  #stop = () => {};
  #probe: unknown;
  /** Those that are being opened. */
  readonly #opening = new Set<Session>();
  /** What closing waits for. */
  readonly #released = new Set<Promise<unknown>>();

  constructor(base: URL, ways: Ways, { auth, transports, platform }: ConnectionOptions) {
    this.#platform = platform;
    this.#ways = ways;
    this.#transports = (transports ?? Object.keys(ways.transports) as TransportName[])
      .flatMap((name) => {
        const open = ways.transports[name];
        const isThere = name !== "websocket" || platform.WebSocket !== undefined;
        return open && isThere ? { name, open } : [];
      });
    const credentials = new Credentials(auth, platform);
    const release = (work: Promise<unknown>) => {
      const settled = () => void this.#released.delete(work);
      this.#released.add(work);
      work.then(settled, settled);
    };
    this.#shared = {
      base,
      platform,
      credentials,
      channels: new Channels(() => this.#changed()),
      timing: { heartbeat: HEARTBEAT_MS },
      release,
    };
    this.#id = [platform.random(), platform.random()].map((n) => n.toString(36).slice(2)).join("-");
    this.#unwatch = platform.watch(() => this.#environmentChanged());
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const { channels } = this.#shared;
    const feed = channels.add(channel, after, listener);
    if (this.#isClosed) queueMicrotask(() => channels.close(this.#whyClosed));
    else this.#start();
    return feed;
  }

  async call(call: Call, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    // A member is there as long as its socket is: worth waiting for one that is being opened.
    if (call.op === "enter" || call.op === "leave") await this.#settled();
    if (this.#isClosed) throw this.#whyClosed;
    try {
      return await (this.#session?.transport?.call?.(call, signal) ??
        this.#ways.call(this.#shared, call, this.#id, signal));
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof WeirError && cause.code === "auth_failed" && isFatal(cause)) {
        void this.close(cause);
      }
      throw cause;
    }
  }

  async close(error?: WeirError): Promise<void> {
    const { channels, platform } = this.#shared;
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#whyClosed = error ?? this.#whyClosed;
      this.#unwatch();
      this.#shared.credentials.close();
      for (const session of [this.#session, ...this.#opening]) session?.close();
      this.#stop();
      this.#stopProbe();
      this.state.set({ status: "closed", ...error !== undefined && { error } });
      channels.close(this.#whyClosed);
    }
    await new Promise<void>((resolve) => {
      const timer = platform.setTimeout(resolve, CLOSE_LIMIT_MS);
      void Promise.allSettled(this.#released).then(() => {
        platform.clearTimeout(timer);
        resolve();
      });
    });
  }

  #start(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    this.#shared.release(this.#supervise());
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
      this.#session?.transport?.sync();
    });
  }

  async #supervise(): Promise<void> {
    while (!this.#isClosed) {
      if (!this.#platform.isOnline()) {
        this.state.set({ status: "offline" });
        await this.#pause(undefined, this.#triedAt + MIN_PAUSE_MS);
        continue;
      }
      const ended = await this.#connect();
      if (this.#isClosed) return;
      if (this.#isFinal(ended)) return void this.close(ended.error);
      if (this.#platform.isOnline()) await this.#backOff(ended);
    }
  }

  /** Tries the transports, and answers when the one that works, or the last, has ended. */
  async #connect(): Promise<Ended> {
    let ended: Ended = { error: unreachable("None of the allowed transports is available here.") };
    for (const [i, choice] of [...this.#transports.entries()].slice(this.#first)) {
      this.state.set({ status: "connecting", transport: choice.name });
      this.#triedAt = this.#platform.now();
      const session = new Session(this.#shared, i);
      try {
        await this.#open(session, choice.open);
      } catch (cause) {
        ended = { isSilent: (await session.ended).isSilent ?? false, error: errorOf(cause) };
        if (this.#isClosed || !this.#isWorthAnother(ended, i)) break;
        continue;
      }
      if (!this.#isClosed) return await this.#live(session);
    }
    this.#first = 0;
    return ended;
  }

  /**
   * Whether the next transport may do better. That nobody answers by HTTP means that the server is
   * away, unless it stays so.
   */
  #isWorthAnother({ error: { code }, isSilent }: Ended, index: number): boolean {
    if (code !== "unreachable" && code !== "bad_answer") return false;
    if (this.#transports[index]?.name === "websocket" || isSilent) return true;
    this.#wasAway = true;
    return index <= this.#failures;
  }

  async #open(session: Session, opener: OpenTransport): Promise<void> {
    const { heartbeat } = this.#shared.timing;
    this.#opening.add(session);
    const opened = session.open(opener, Math.min(OPEN_LIMIT_MS, 2 * heartbeat));
    this.#shared.release(opened);
    try {
      await opened;
    } finally {
      this.#opening.delete(session);
    }
  }

  /** As long as there is an open session: this one, or a better one that takes over. */
  async #live(session: Session): Promise<Ended> {
    this.#session = session;
    this.#refusals = 0;
    if (this.#wasAway) this.#probeDelay = FIRST_PROBE_MS;
    this.#wasAway = false;
    while (true) {
      const current: Session = this.#session;
      const { index, transport } = current;
      const openedAt = this.#platform.now();
      const { channels } = this.#shared;
      const { progress } = channels;
      this.#first = index;
      // Every session has its place in the list.
      const { name = "websocket" } = this.#transports[index] ?? {};
      this.state.set({ status: "open", transport: name });
      transport?.sync();
      this.#scheduleProbe(current);
      const ended = await current.ended;
      if (this.#session !== current) continue;
      this.#session = undefined;
      this.#stopProbe();
      channels.stopped();
      const isStable = this.#platform.now() - openedAt > STABLE_MS;
      if (isStable || channels.progress > progress) this.#failures = 0;
      if (isStable) this.#probeDelay = PROBE_MS;
      this.#remember(index, ended, isStable);
      return ended;
    }
  }

  /** Which transport comes next, after one has ended. */
  #remember(index: number, { isSilent, isGoodbye }: Ended, isStable: boolean): void {
    const isBlameless = isStable || isGoodbye || !this.#platform.isOnline();
    this.#shortLives = isBlameless ? 0 : this.#shortLives + 1;
    if (!isSilent && this.#shortLives < MAX_SHORT_LIVES) return;
    this.#shortLives = 0;
    this.#first = Math.min(index + 1, this.#transports.length - 1);
  }

  /** Whether waiting mends nothing. */
  #isFinal({ error, isGoodbye }: Ended): boolean {
    if (isFatal(error) || this.#transports.length === 0) return true;
    if (isGoodbye || !isCredentialRefusal(error)) return false;
    return !this.#shared.credentials.isRenewable || ++this.#refusals > 1;
  }

  async #backOff({ error, retry = 0 }: Ended): Promise<void> {
    const { platform } = this.#shared;
    const asked = Math.min(Math.max(retry, error.retryAfter ?? 0), MAX_RETRY_MS);
    const random = () => platform.random();
    let delay = fullJitter(this.#failures++, random);
    // Spread too: many were told the same.
    if (asked > 0) delay = Math.max(delay, asked + fullJitter(0, random));
    if (platform.isHidden()) delay = Math.max(delay, HIDDEN_WAIT_MS * (1 + random()));
    const now = platform.now();
    this.state.set({ status: "reconnecting", at: now + delay, delay, error });
    await this.#pause(delay, Math.max(now + asked, this.#triedAt + MIN_PAUSE_MS));
  }

  /** @param soonest when it may be ended by an event of the page, in ms since 1970. */
  #pause(milliseconds: number | undefined, soonest: number): Promise<void> {
    const { now, setTimeout, clearTimeout } = this.#platform;
    return new Promise((resolve) => {
      let timer: unknown;
      const wait = (milliseconds: number) => {
        clearTimeout(timer);
        timer = setTimeout(this.#stop, milliseconds);
      };
      this.#wake = () => wait(Math.max(0, soonest - now()));
      this.#stop = () => {
        clearTimeout(timer);
        this.#wake = this.#stop = () => {};
        resolve();
      };
      if (this.#isClosed) this.#stop();
      else if (milliseconds !== undefined) wait(milliseconds);
    });
  }

  #environmentChanged(): void {
    const { now, isOnline, isHidden } = this.#platform;
    if (!isOnline()) {
      const error = unreachable("There is no network.");
      for (const session of [this.#session, ...this.#opening]) session?.down(error);
      this.#wake();
    } else if (!isHidden() || this.state.value.status === "offline") {
      this.#wake();
      if (now() - this.#checkedAt < MIN_PAUSE_MS) return;
      this.#checkedAt = now();
      this.#session?.transport?.check();
    }
  }

  #scheduleProbe(session: Session): void {
    this.#stopProbe();
    if (session.index === 0) return;
    this.#probe = this.#platform.setTimeout(() => void this.#tryBetter(session), this.#probeDelay);
  }

  /** Opens a better transport beside the one that runs, and goes over to it. */
  async #tryBetter(current: Session): Promise<void> {
    for (const [i, { open }] of this.#transports.slice(0, current.index).entries()) {
      if (current.hasEnded) break;
      const better = new Session(this.#shared, i);
      try {
        await this.#open(better, open);
      } catch {
        continue; // it does not work yet: the one that runs goes on
      }
      if (current.hasEnded) return better.close();
      this.#session = better;
      return current.close();
    }
    this.#probeDelay = Math.min(Math.max(PROBE_MS, 2 * this.#probeDelay), MAX_PROBE_MS);
    if (!current.hasEnded) this.#scheduleProbe(current);
  }

  #stopProbe(): void {
    this.#platform.clearTimeout(this.#probe);
  }
}

function errorOf(cause: unknown): WeirError {
  return cause instanceof WeirError ? cause : unreachable("The transport can't be loaded.", cause);
}
