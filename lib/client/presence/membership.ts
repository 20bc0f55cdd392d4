import { SerialQueue } from "../../shared/async/serial_queue.ts";
import type { Link } from "../core/link.ts";
import { onAbort } from "../core/on_abort.ts";
import { canCall, retryCall } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";
import { retryReporting } from "./retry_reporting.ts";

type OnError = (error: WeirError) => unknown;

interface MembershipOptions {
  readonly link: Link;
  readonly channel: string;
  /** Undefined: the server takes it from the credential. */
  readonly member: string | undefined;
  /** The name of the session. */
  readonly session: string | undefined;
  readonly onError: OnError;
  /** Called when the membership has ended and none of its calls is under way. */
  readonly onEnd: () => void;
}

/** The part of the server's answer to `enter` that is used. */
interface EnterAnswer {
  readonly member?: string;
  /** Milliseconds until the member must enter again; undefined for as long as the connection. */
  readonly expiresIn?: number;
}

/** Keeps this client a member of a channel while it has holders. Its calls run one by one. */
export class Membership {
  readonly channel: string;
  /** As requested, or as the server answered: over HTTP it must be named. */
  member: string | undefined;
  readonly session: string | undefined;
  readonly #requestedMember: string | undefined;
  readonly #link: Link;
  readonly #onError: OnError;
  readonly #onEnd: () => void;
  readonly #holders = new Set<object>();
  /** The data that the holders want. */
  #data: unknown;
  /** The data that the server has accepted. */
  #acceptedData: unknown;
  /** Number of `enter` requests by holders and reconnects. */
  #requested = 0;
  /** Number of the last request that the server has answered. */
  #answered = 0;
  #underWay = 0;
  #newest: Promise<void> = Promise.resolve();
  readonly #calls = new SerialQueue();
  /** The kinds of sessions that the server may have: over HTTP (true), over a socket (false). */
  readonly #sessionsByHttp = new Set<boolean>();
  #renewal: ReturnType<typeof setTimeout> | undefined;
  /** Aborts when the last holder is gone. */
  #held: AbortController | undefined;

  constructor({ link, channel, member, session, onError, onEnd }: MembershipOptions) {
    this.channel = channel;
    this.member = this.#requestedMember = member;
    this.session = session;
    this.#link = link;
    this.#onError = onError;
    this.#onEnd = onEnd;
  }

  /** Whether it is the membership in the channel for what a holder requests. */
  is(
    channel: string,
    requestedMember: string | undefined,
    session: string | undefined,
  ): boolean {
    return this.channel === channel && this.session === session &&
      (this.member === requestedMember || this.#requestedMember === requestedMember);
  }

  /** Enters, or updates the data for all holders. Without data the current data stays. */
  async enter(holder: object, data: unknown): Promise<void> {
    const isNew = !this.#holders.has(holder);
    this.#holders.add(holder);
    if (data !== undefined) this.#data = data;
    const { signal } = this.#held ??= this.#begin();
    try {
      await (this.#newest = this.#enter(signal));
    } catch (cause) {
      if (this.#underWay > 0) return await this.#newest; // a newer request replaces this one
      if (isNew) this.#holders.delete(holder);
      if (this.#holders.size === 0) this.#forget();
      else {
        this.#data = this.#acceptedData;
        this.#enterAgain(signal);
      }
      throw cause;
    }
  }

  async leave(holder: object): Promise<void> {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    this.#release();
    try {
      await this.#run(() => {
        const leave = () => this.#leave();
        // Without a connection the server removes the member by itself.
        return canCall(this.#link.state.value) ? retryCall(this.#link, leave) : leave();
      });
    } finally {
      if (this.#holders.size === 0) this.#onEnd();
    }
  }

  #run<T>(call: () => Promise<T>): Promise<T> {
    return this.#calls.run(async () => {
      await undefined; // requests of the same synchronous code may join or cancel the call
      return await call();
    });
  }

  #begin(): AbortController {
    const held = new AbortController();
    const { signal } = held;
    const { state, left } = this.#link;
    onAbort(
      signal,
      state.onChange((state) => {
        if (canCall(state)) this.#enterAgain(signal);
        else if (state.status === "closed") clearTimeout(this.#renewal);
      }),
    );
    const stopListening = left?.onChange(({ channel, member, session, reason }) => {
      if (channel !== this.channel || member !== this.member || session !== this.session) return;
      if (this.#underWay > 0) return; // the server refuses that request
      this.#forget();
      this.#onError(new WeirError(String(reason), `${member} was removed from ${channel}.`));
    });
    if (stopListening) onAbort(signal, stopListening);
    return held;
  }

  async #enter(signal: AbortSignal): Promise<void> {
    const request = ++this.#requested;
    this.#underWay++;
    try {
      await this.#run(async () => {
        if (this.#answered >= request) return; // an earlier call included it
        let included = 0;
        let data: unknown;
        const enter = () => {
          included = this.#requested;
          data = this.#data;
          const call = {
            op: "enter",
            ...this.#identity,
            ...data !== undefined && { data },
          } as const;
          return this.#link.call(call);
        };
        const { member, expiresIn }: EnterAnswer = await retryReporting(
          this.#link,
          enter,
          this.#onError,
          signal,
        );
        this.member ??= member;
        this.#sessionsByHttp.add(expiresIn !== undefined);
        clearTimeout(this.#renewal);
        if (signal.aborted) return;
        this.#answered = included;
        this.#acceptedData = data;
        if (expiresIn === undefined) return;
        this.#renewal = setTimeout(() => this.#enterAgain(signal), expiresIn / 2);
      });
    } catch (cause) {
      if (!signal.aborted) throw cause; // else the last holder has left
    } finally {
      this.#underWay--;
    }
  }

  #enterAgain(signal: AbortSignal): void {
    if (this.#underWay > 0) return; // that request does it
    this.#enter(signal).catch((error: WeirError) => {
      if (this.#underWay > 0) return; // that request reports the error
      this.#forget();
      this.#onError(error);
    });
  }

  async #leave(): Promise<void> {
    // An answer to `enter` may have been lost.
    const sessions = this.#sessionsByHttp.size > 0 ? [...this.#sessionsByHttp] : [false];
    try {
      for (const isByHttp of sessions) {
        if (this.#holders.size > 0) return; // a holder has entered again
        await this.#link.call({ op: "leave", ...this.#identity, ...isByHttp && { isByHttp } });
        this.#sessionsByHttp.delete(isByHttp);
      }
    } catch (cause) {
      // Without a connection the member leaves with it.
      if (!(cause instanceof WeirError) || cause.code !== "unreachable") throw cause;
    }
  }

  get #identity(): {
    readonly channel: string;
    readonly member?: string;
    readonly session?: string;
  } {
    const { channel, member, session } = this;
    return {
      channel,
      ...member !== undefined && { member },
      ...session !== undefined && { session },
    };
  }

  #forget(): void {
    this.#release();
    this.#onEnd();
  }

  #release(): void {
    this.#holders.clear();
    this.#data = this.#acceptedData = undefined;
    clearTimeout(this.#renewal);
    this.#held?.abort();
    this.#held = undefined;
  }
}
