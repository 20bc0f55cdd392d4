import assert from "node:assert/strict";
import type { TransportName, Weir } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import { WeirError } from "../../lib/client/core/weir_error.ts";
import { bearer, settings } from "./guarded.ts";
import { checkReading, type Reading, type Start, type Style } from "./client_reading.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { shortTimers } from "./client_platform.ts";
import { readAll } from "./readers.ts";
import { RestartableServer } from "./restartable_server.ts";
import { makeSigner, type Signer } from "./tokens.ts";
import { until } from "./until.ts";

/** The server's heartbeat, and the longest timer of the client. In ms. */
const HEARTBEAT = 300;
const PATIENCE = 400;
/** Events per publish. */
const MAX_BATCH = 100;
/** Errors allowed for an own publish: its client was closed, or something else answered. */
const REFUSALS: readonly string[] = ["closed", "bad_answer"];
const RIGHTS = { publish: ["**"], subscribe: ["**"], admin: true };

interface OwnPublish {
  readonly client: number;
  readonly n: number;
  readonly channel: string;
  offset: string | undefined;
  failure: unknown;
}

/**
 * A server, a faulty proxy, and an application that reads and publishes through it with the client
 * library. It knows which events the application must have received.
 */
export class ClientWorld implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly #server: RestartableServer;
  readonly #signer: Signer;
  readonly #transports: readonly TransportName[] | undefined;
  readonly #readings: Reading[] = [];
  readonly #own: OwnPublish[] = [];
  /** Events acknowledged to the publisher that bypasses the client, by channel. */
  readonly #published = new Map<string, string[]>();
  readonly #watchers = new Set<() => void>();
  /** Resolve when the WebTransport connections of all clients have ended. */
  readonly #webTransports: Promise<unknown>[] = [];
  #page = { isOnline: true, isHidden: false };
  #held = Promise.withResolvers<void>();
  #weir: Weir;
  #clients = 0;
  #tokens = 0;

  private constructor(
    server: RestartableServer,
    signer: Signer,
    transports: readonly TransportName[] | undefined,
  ) {
    this.#server = server;
    this.#signer = signer;
    this.#transports = transports;
    this.proxy = transports?.includes("webtransport")
      ? FaultProxy.withUdp(server.port)
      : new FaultProxy(server.port);
    this.#held.resolve();
    this.#weir = this.#connect();
  }

  static async start(transports?: readonly TransportName[]): Promise<ClientWorld> {
    const signer = await makeSigner("EdDSA");
    const env = settings(signer);
    const hasWebTransport = transports?.includes("webtransport") ?? false;
    const server = await RestartableServer.start({ env, heartbeat: HEARTBEAT, hasWebTransport });
    return new ClientWorld(server, signer, transports);
  }

  get weir(): Weir {
    return this.#weir;
  }

  /** Publishes without faults, bypassing the client. */
  async publish(channel: string, count: number): Promise<void> {
    const acked = this.#published.get(channel) ?? [];
    this.#published.set(channel, acked);
    for (let left = count; left > 0; left -= MAX_BATCH) {
      const length = Math.min(left, MAX_BATCH);
      const events = Array.from({ length }, (_, i) => ({ channel, data: acked.length + i }));
      const answer = await this.#post("/v1/events", { events });
      for (const { offset } of answer.events) acked.push(offset);
    }
  }

  /** Publishes with the client, without waiting. */
  publishOwn(channel: string, count: number): void {
    for (let i = 0; i < count; i++) {
      const n = this.#own.length;
      const own: OwnPublish = {
        client: this.#clients,
        n,
        channel,
        offset: undefined,
        failure: undefined,
      };
      this.#own.push(own);
      this.#weir.publish(channel, { client: own.client, n }).then(
        ({ offset }) => own.offset = offset,
        (cause) => own.failure = cause,
      );
    }
  }

  /** @param start `behind` picks an acknowledged event, modulo their number. */
  read(channel: string, start: Start, style: Style): void {
    const acked = this.#published.get(channel) ?? [];
    const after = typeof start === "string"
      ? start
      : acked[start.behind % acked.length] ?? "earliest";
    const reading: Reading = {
      channel,
      style,
      known: acked.length,
      start: after === "latest" ? undefined : after,
      after,
      offsets: [],
      cursor: () => undefined,
      end: undefined,
      failure: undefined,
    };
    this.#readings.push(reading);
    this.#begin(reading);
  }

  /** Ends one of the open subscriptions. */
  async endReading(which: number): Promise<void> {
    const live = this.#live();
    await live[which % live.length]?.end?.();
  }

  /** Puts subscriptions of the style `hold` on hold, or lets them continue. */
  hold(isHeld: boolean): void {
    this.#held.resolve();
    if (isHeld) this.#held = Promise.withResolvers();
  }

  /** Changes what the browser reports about network and page. */
  setPage(page: { readonly isOnline: boolean; readonly isHidden: boolean }): void {
    this.#page = page;
    for (const listener of this.#watchers) listener();
  }

  /** Closes the client. The next one continues from the cursors. */
  async handOver(): Promise<void> {
    const live = this.#live();
    await Promise.all(live.map(({ end }) => end?.()));
    await this.#weir.close();
    this.#weir = this.#connect();
    for (const reading of live) this.#begin(reading);
  }

  /** @param isAbrupt whether the client gets no goodbye. */
  async restart(isAbrupt: boolean): Promise<void> {
    if (isAbrupt) this.proxy.cut();
    await this.#server.stop();
    await this.#server.start();
    this.proxy.target = this.#server.port;
  }

  /** Revokes the newest token, if it has been used. */
  async revoke(): Promise<void> {
    if (this.#weir.state.value.status !== "open") return;
    await this.#post("/v1/revocations", { jti: `token-${this.#tokens}` });
  }

  /**
   * Removes all faults, and checks that every event arrives once and in order, and that every own
   * publish is stored once and in order.
   */
  async check(): Promise<void> {
    this.proxy.off();
    this.proxy.udp?.disturb({});
    this.hold(false);
    this.setPage({ isOnline: true, isHidden: false });
    const own = this.#own;
    await this.#until(
      "own publishes are settled",
      () => own.every(({ offset, failure }) => offset !== undefined || failure !== undefined),
    );
    await this.#until(
      "all reading has begun",
      () => this.#live().every(({ cursor, failure }) => (cursor() ?? failure) !== undefined),
    );
    for (const channel of new Set(this.#readings.map(({ channel }) => channel))) {
      await this.publish(channel, 1);
    }
    const last = (channel: string) => this.#published.get(channel)?.at(-1);
    await this.#until("everything is read", () => {
      const live = this.#live();
      for (const { failure } of live) if (failure !== undefined) throw failure;
      return live.every(({ offsets, channel }) => offsets.at(-1) === last(channel));
    });
    const channels = new Set([...this.#published.keys(), ...own.map(({ channel }) => channel)]);
    for (const channel of channels) {
      const log = await readAll(this.#server.url, channel, await this.#bearer());
      this.#checkOwn(channel, log);
      const offsets = log.map(({ offset }) => offset);
      for (const reading of this.#readings) {
        if (reading.channel === channel) checkReading(reading, offsets);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#live().map(({ end }) => end?.()));
    await this.#weir.close();
    // Deno cannot stop opening a WebTransport connection, so those that are closed must open first.
    this.proxy.off();
    this.proxy.udp?.heal();
    await Promise.all(this.#webTransports);
    await this.#server[Symbol.asyncDispose](); // over the proxy it sees that clients have left
    await this.proxy[Symbol.asyncDispose]();
  }

  async #until(what: string, isMet: () => boolean): Promise<void> {
    try {
      await until(what, isMet);
    } catch (cause) {
      throw new Error(this.#describe(), { cause });
    }
  }

  #checkOwn(channel: string, log: readonly { readonly offset: string; readonly data: unknown }[]) {
    const stored = log.flatMap(({ offset, data }) => isOwnData(data) ? [{ offset, ...data }] : []);
    for (let client = 1; client <= this.#clients; client++) {
      const numbers = stored.flatMap((one) => one.client === client ? [one.n] : []);
      const inOrder = [...new Set(numbers)].sort((a, b) => a - b);
      assert.deepEqual(numbers, inOrder, `own publishes of client ${client} in ${channel}`);
    }
    for (const { n, channel: its, offset, failure } of this.#own) {
      if (its !== channel) continue;
      const found = stored.find((one) => one.n === n);
      if (offset !== undefined) assert.equal(found?.offset, offset, `own publish ${n}`);
      else assert.ok(failure instanceof WeirError && REFUSALS.includes(failure.code), `${failure}`);
    }
  }

  #begin(reading: Reading): void {
    if (reading.style === "listen") this.#listen(reading);
    else this.#iterate(reading);
  }

  #listen(reading: Reading): void {
    const { channel, after, offsets } = reading;
    const listening = this.#weir.listen(channel, {
      after,
      onStart: (cursor) => reading.start ??= cursor,
      onEvent: ({ offset }) => void offsets.push(offset),
      onGap: "throw",
      onError: (error) => reading.failure = error,
    });
    reading.cursor = () => listening.cursor;
    reading.end = () => {
      reading.after = listening.cursor ?? after;
      listening.close();
      reading.end = undefined;
      return Promise.resolve();
    };
  }

  #iterate(reading: Reading): void {
    const { channel, after, offsets, style } = reading;
    const abort = new AbortController();
    const { signal } = abort;
    const left = new Promise((resolve) => signal.addEventListener("abort", resolve));
    const events = this.#weir.subscribe(channel, { after, onGap: "throw", signal });
    const done = (async () => {
      for await (const { offset } of events) {
        offsets.push(offset);
        if (events.cursor !== offset) throw new Error(`${events.cursor} is not behind ${offset}`);
        if (style === "hold") await Promise.race([this.#held.promise, left]);
      }
    })().catch((cause) => reading.failure = cause);
    reading.cursor = () => events.cursor;
    reading.end = async () => {
      abort.abort();
      await done;
      reading.after = events.cursor ?? after;
      if (offsets.length === 0) reading.start ??= events.cursor;
      reading.end = undefined;
    };
  }

  #live(): readonly Reading[] {
    return this.#readings.filter(({ end }) => end !== undefined);
  }

  #connect(): Weir {
    this.#clients++;
    return makeClient(
      this.proxy.url,
      { auth: () => this.#token(), transports: this.#transports },
      {
        ...shortTimers({ maxMs: PATIENCE }),
        WebTransport: watched(this.#webTransports),
        isOnline: () => this.#page.isOnline,
        isHidden: () => this.#page.isHidden,
        watch: (listener) => {
          this.#watchers.add(listener);
          return () => void this.#watchers.delete(listener);
        },
      },
    );
  }

  /** Issues a token; every third one expires soon. */
  #token(): Promise<string> {
    const iat = Math.floor(Date.now() / 1_000);
    const exp = iat + (++this.#tokens % 3 === 0 ? 3 : 600);
    return this.#signer.sign({ sub: "ann", jti: `token-${this.#tokens}`, weir: RIGHTS, iat, exp });
  }

  async #bearer(): Promise<Readonly<Record<string, string>>> {
    return bearer(await this.#signer.sign({ sub: "publisher", weir: RIGHTS }));
  }

  // deno-lint-ignore no-explicit-any -- callers know the shape
  async #post(path: string, body: unknown): Promise<any> {
    const response = await fetch(`${this.#server.url}${path}`, {
      method: "POST",
      headers: { ...await this.#bearer(), "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    return JSON.parse(text);
  }

  #describe(): string {
    const readings = this.#live().map(({ channel, style, offsets, failure, after }) => ({
      channel,
      style,
      after,
      has: offsets.length,
      of: this.#published.get(channel)?.length,
      failure,
    }));
    return Deno.inspect({
      state: this.#weir.state.value,
      readings,
      waiting: this.#own.filter(({ offset, failure }) => (offset ?? failure) === undefined).length,
      requests: this.proxy.requests.slice(-5),
    }, { depth: 6 });
  }
}

/** Returns Deno's WebTransport, whose connections add to `ended` when they have ended. */
function watched(ended: Promise<unknown>[]): Platform["WebTransport"] {
  const Native = PLATFORM.WebTransport;
  return Native && class extends Native {
    constructor(url: URL, options: WebTransportOptions) {
      super(url, options);
      ended.push(Promise.allSettled([this.ready, this.closed]));
    }
  };
}

function isOwnData(data: unknown): data is { readonly client: number; readonly n: number } {
  return typeof data === "object" && data !== null && "client" in data;
}
