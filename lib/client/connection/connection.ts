import type { Credential } from "../api.ts";
import { MAX_RETRY_AFTER_MS, retryDelayMs } from "../core/retry_delay.ts";
import { deadline, isTimeoutError } from "../../shared/async/deadline.ts";
import {
  closedError,
  isCredentialError,
  isFatal,
  toRequestError,
  unreachableError,
} from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Call, Feed, FeedListener, Link } from "../core/link.ts";
import { ObservableValue, runCallback } from "../core/observable.ts";
import type { Platform } from "../core/platform.ts";
import { randomId } from "../../shared/random_id.ts";
import { type ConnectionState, type TransportName, TRANSPORTS } from "../core/state.ts";
import type { WeirError } from "../core/weir_error.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import { Channels } from "./channels.ts";
import { Credentials } from "./credentials.ts";
import type { ConnectionModules } from "./modules.ts";
import { RetryWait } from "./retry_wait.ts";
import type { ConnectionContext } from "./transport.ts";
import { TransportChoice } from "./transport_choice.ts";

/** The server's heartbeat until it says another. */
const HEARTBEAT_MS = 15_000;
/** How long a transport may take to open, or two heartbeats if those are shorter. */
const OPEN_TIMEOUT_MS = 10_000;
/** A connection that lasted longer works: earlier failures no longer count. */
const STABLE_MS = 10_000;
/** Least time between two tries that did not wait for the backoff. Guards against rapid tab switching. */
const MIN_RETRY_INTERVAL_MS = 1_000;
/** Least wait of a page in the background. */
const HIDDEN_DELAY_MS = 10_000;
/** How long closing waits for the other end. */
const CLOSE_TIMEOUT_MS = 1_000;

interface ConnectionOptions {
  readonly auth?: (() => Credential | Promise<Credential>) | undefined;
  readonly transports?: readonly TransportName[] | undefined;
  /** Receives temporary errors that the application cannot see elsewhere. */
  readonly onError?: ((error: WeirError) => void) | undefined;
  readonly platform: Platform;
}

/**
 * The {@link Link} over the network. It connects when there is something to read, by the first
 * transport that works, and stays connected until it is closed.
 */
export class Connection implements Link {
  readonly state = new ObservableValue<ConnectionState>({ status: "idle" });
  readonly left = new ObservableValue<JsonObject>({});
  readonly #platform: Platform;
  readonly #modules: ConnectionModules;
  readonly #choice: TransportChoice;
  readonly #context: ConnectionContext;
  readonly #wait: RetryWait;
  readonly #unwatch: () => void;
  /** Names this client where it calls over HTTP. */
  readonly #clientId = randomId();
  /** The attempt that is open and in use. */
  #current: Attempt | undefined;
  /** All attempts that have not ended: the current one and those that are opening. */
  readonly #attempts = new Set<Attempt>();
  #failures = 0;
  #credentialRefusals = 0;
  /** Aborts when the client is closed. */
  readonly #end = new AbortController();
  #isUpdating = false;
  #triedAt = 0;
  #checkedAt = 0;
  /** What `close()` waits for. */
  readonly #released = new Set<Promise<unknown>>();

  constructor(
    base: URL,
    modules: ConnectionModules,
    { auth, transports = TRANSPORTS, onError, platform }: ConnectionOptions,
  ) {
    this.#platform = platform;
    this.#modules = modules;
    this.#wait = new RetryWait(platform);
    this.#choice = new TransportChoice(transports.flatMap((name) => {
      const open = modules.transports[name];
      const isAvailable = (name !== "websocket" || platform.WebSocket) &&
        (name !== "webtransport" || platform.WebTransport);
      return open && isAvailable ? { name, open } : [];
    }));
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
    this.#context = {
      ...host,
      base,
      credentials: new Credentials(auth, host),
      channels: new Channels(() => this.#updateTransport()),
      timing: { heartbeatMs: HEARTBEAT_MS },
      left: this.left,
      release,
    };
    this.#unwatch = platform.watch(() => this.#environmentChanged());
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const { channels } = this.#context;
    const feed = channels.add(channel, after, listener);
    const closed = this.#closed;
    if (closed) queueMicrotask(() => channels.close(closed));
    else this.#start();
    return feed;
  }

  async call(call: Call, signal?: AbortSignal): Promise<JsonObject> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed;
    try {
      return await this.#modules.call(this.#context, call, {
        clientId: this.#clientId,
        signal,
        state: this.state,
        start: () => this.#start(),
        request: () => this.#current?.transport?.request,
      });
    } catch (cause) {
      signal?.throwIfAborted();
      if (this.#closed) throw this.#closed;
      throw isTimeoutError(cause) ? toRequestError(this.#context.base, cause) : cause;
    }
  }

  retry(): void {
    this.#wait.wake();
  }

  async close(error?: WeirError): Promise<void> {
    const { channels, platform } = this.#context;
    if (!this.#closed) {
      this.#end.abort(error ?? closedError());
      this.#unwatch();
      for (const attempt of this.#attempts) attempt.close();
      this.#wait.stop();
      this.state.set({ status: "closed", ...error && { error } });
      channels.close(this.#end.signal.reason);
    }
    const released = Promise.allSettled(this.#released);
    // What takes longer ends later.
    await deadline(released, CLOSE_TIMEOUT_MS, { timers: platform }).catch(() => {});
  }

  /** Why the client is closed. */
  get #closed(): WeirError | undefined {
    return this.#end.signal.reason;
  }

  #start(): void {
    if (this.state.value.status === "idle") this.#context.release(this.#run());
  }

  /** Coalesces the changes of one synchronous piece of the application's code. */
  #updateTransport(): void {
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    queueMicrotask(() => {
      this.#isUpdating = false;
      this.#current?.transport?.update();
    });
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      if (!this.#platform.isOnline()) {
        this.state.set({ status: "offline" });
        await this.#pause(undefined, this.#triedAt + MIN_RETRY_INTERVAL_MS);
        continue;
      }
      const end = await this.#connect();
      if (this.#closed) return;
      if (this.#isFinal(end)) return void this.close(end.error);
      if (this.#platform.isOnline()) await this.#backOff(end.error);
    }
  }

  /** Tries the transports. Resolves when the one that worked, or the last one, has ended. */
  async #connect(): Promise<AttemptEnd> {
    const choice = this.#choice;
    let end: AttemptEnd = { error: unreachableError("There is no transport.") };
    for (const [i, { name }] of [...choice.choices.entries()].slice(choice.first)) {
      this.state.set({ status: "connecting", transport: name });
      this.#triedAt = this.#platform.now();
      const attempt = await this.#open(i);
      if (!attempt.signal.aborted) return await this.#use(attempt);
      end = await attempt.ended;
      if (this.#closed || !choice.shouldTryNext(end, i, this.#failures)) break;
    }
    choice.first = 0;
    return end;
  }

  /** Opens a transport by its index. Resolves once the attempt is open or has ended. */
  async #open(index: number): Promise<Attempt> {
    const { timing, release } = this.#context;
    const { name, open } = this.#choice.choices[index]!; // an index in the list
    const attempt = new Attempt(this.#context, index, name);
    this.#attempts.add(attempt);
    void attempt.ended.then(() => this.#attempts.delete(attempt));
    const opened = attempt.open(open, Math.min(OPEN_TIMEOUT_MS, 2 * timing.heartbeatMs));
    release(opened);
    await opened;
    return attempt;
  }

  /** Reads by an open attempt, or a better one that replaces it, until that ends. */
  async #use(attempt: Attempt): Promise<AttemptEnd> {
    const { channels, credentials } = this.#context;
    const choice = this.#choice;
    const { wasAway } = choice;
    credentials.isAccepted = true;
    this.#current = attempt;
    this.#credentialRefusals = 0;
    choice.wasAway = false;
    while (true) {
      const current: Attempt = this.#current;
      const { index, name, transport } = current;
      const openedAt = this.#platform.now();
      const { progress } = channels;
      choice.first = index;
      this.state.set({ status: "open", transport: name });
      transport?.update();
      // Without the lazy chunk there is no replacement.
      this.#replace(current, wasAway).catch(() => {});
      const end = await current.ended;
      if (this.#current !== current) continue;
      this.#current = undefined;
      channels.stopped();
      const isStable = this.#platform.now() - openedAt > STABLE_MS;
      if (isStable || channels.progress > progress) this.#failures = 0;
      const isBlameless = isStable || end.isGoodbye || !this.#platform.isOnline();
      choice.connectionEnded(index, end, isBlameless);
      return end;
    }
  }

  /** Switches to a better transport once one works, or to another server after a goodbye. */
  async #replace(current: Attempt, wasAway: boolean): Promise<void> {
    const better = await this.#modules.openReplacement?.({
      platform: this.#platform,
      current,
      open: (index) => this.#open(index),
      wasAway,
    });
    if (current.signal.aborted) return better?.close();
    if (better) {
      this.#current = better;
      current.close();
    }
  }

  /** Whether waiting cannot help. */
  #isFinal({ error, isGoodbye }: AttemptEnd): boolean {
    if (isFatal(error) || this.#choice.choices.length === 0) return true;
    if (isGoodbye || !isCredentialError(error)) return false;
    return !this.#context.credentials.isRenewable || ++this.#credentialRefusals > 1;
  }

  async #backOff(error: WeirError): Promise<void> {
    const { now, random, isHidden } = this.#platform;
    const retryAfterMs = Math.min(error.retryAfter ?? 0, MAX_RETRY_AFTER_MS);
    let delay = retryDelayMs(this.#failures++, random);
    // Spread as well: the server told many clients the same.
    if (retryAfterMs > 0) delay = Math.max(delay, retryAfterMs + retryDelayMs(0, random));
    if (isHidden()) delay = Math.max(delay, HIDDEN_DELAY_MS * (1 + random()));
    const from = now();
    this.state.set({ status: "reconnecting", at: from + delay, delay, error });
    await this.#pause(delay, Math.max(from + retryAfterMs, this.#triedAt + MIN_RETRY_INTERVAL_MS));
  }

  /** @see {@link RetryWait.start} */
  async #pause(delayMs: number | undefined, earliest: number): Promise<void> {
    // A listener of the state may have closed the client.
    if (!this.#closed) await this.#wait.start(delayMs, earliest);
  }

  #environmentChanged(): void {
    const { now, isOnline, isHidden } = this.#platform;
    if (!isOnline()) {
      const error = unreachableError("There is no network.");
      for (const attempt of this.#attempts) attempt.down(error);
      this.#wait.wake();
    } else if (!isHidden() || this.state.value.status === "offline") {
      this.#wait.wake();
      if (Math.abs(now() - this.#checkedAt) < MIN_RETRY_INTERVAL_MS) return;
      this.#checkedAt = now();
      this.#current?.transport?.check();
    }
  }
}
