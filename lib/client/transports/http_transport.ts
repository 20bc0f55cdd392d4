import type { Channel } from "../../shared/channel.ts";
import { formatCursor } from "../../shared/cursor.ts";
import { type Epoch, isOffset, type Position } from "../../shared/offset.ts";
import { isChannelError } from "./resolve_starts.ts";
import type { WantedChannel } from "../connection/channels.ts";
import { requestJson } from "./http.ts";
import { readOneEvent, resolveStarts } from "./resolve_starts.ts";
import { toAnswerError } from "../core/errors.ts";
import type { Transport, TransportHost } from "../connection/transport.ts";
import { WeirError } from "../core/weir_error.ts";

/** Channels of one request: what a cursor can hold. */
const MAX_CHANNELS = 100;
/** Characters of their names in its URL, of which a server takes 8,192. */
const MAX_NAME_CHARS = 4_000;
/** Requests that stay open. Met: a browser that has six connections to a server by HTTP/1.1. */
const MAX_OPEN_GROUPS = 4;

/** Channels that are read by one request, or by one after the other. */
export interface Group {
  readonly host: TransportHost;
  /** Sorted. */
  readonly channels: readonly string[];
  /** Aborts when they are to be read otherwise. */
  readonly signal: AbortSignal;
  /** Called to look whether the request is alive. */
  check: () => void;
  /** The path and query of a request from where the readers are; none where all have left. */
  path(query: string): string | undefined;
  /** The request that `path` was for is being answered. */
  began(): void;
}

/** Reads until `signal` aborts, or all readers have left. @throws {WeirError} */
export type ReadGroup = (group: Group) => Promise<void>;

/**
 * Opens a transport over requests.
 *
 * @param readMore for groups that are too many for requests that stay open.
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export async function openHttp(
  host: TransportHost,
  read: ReadGroup,
  readMore: ReadGroup,
): Promise<Transport> {
  const transport = new HttpTransport(host, read, readMore);
  await transport.open();
  return transport;
}

class HttpTransport implements Transport {
  readonly #host: TransportHost;
  readonly #read: ReadGroup;
  readonly #readMore: ReadGroup;
  #groups: readonly Group[] = [];
  /** What is read at the moment. */
  #signature = "";
  #abort = new AbortController();
  #began = () => {};
  #isSyncing = false;
  #isStale = false;

  constructor(host: TransportHost, read: ReadGroup, readMore: ReadGroup) {
    this.#host = host;
    this.#read = read;
    this.#readMore = readMore;
    host.signal.addEventListener("abort", () => this.#abort.abort());
  }

  /** Answers with the first group, or where there is nothing to read, when anybody answers. */
  async open(): Promise<void> {
    const began = new Promise<void>((resolve) => this.#began = resolve);
    await this.#sync();
    if (this.#host.signal.aborted) return; // it is known why
    if (this.#groups.length > 0) return await began;
    const { signal, timing } = this.#host;
    await requestJson(this.#host, "/healthz", { signal, timeoutMs: 2 * timing.heartbeatMs });
  }

  update(): void {
    void this.#sync();
  }

  check(): void {
    for (const { check } of this.#groups) check();
  }

  async #sync(): Promise<void> {
    this.#isStale = true;
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    try {
      while (this.#isStale && !this.#host.signal.aborted) {
        this.#isStale = false;
        await resolveStarts(this.#host, true);
        this.#regroup();
      }
    } catch (cause) {
      this.#fail(cause);
    }
    this.#isSyncing = false;
  }

  #regroup(): void {
    const host = this.#host;
    if (host.signal.aborted) return;
    const wanted = host.channels.wanted().filter(({ after }) => isOffset(after));
    const signature = JSON.stringify(wanted.map(({ channel, version }) => [channel, version]));
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#groups = grouped(wanted).map((channels) =>
      groupOf(host, channels, signal, () => this.#began())
    );
    for (const [i, group] of this.#groups.entries()) {
      void this.#run(group, i < MAX_OPEN_GROUPS ? this.#read : this.#readMore);
    }
  }

  async #run(group: Group, read: ReadGroup): Promise<void> {
    try {
      await read(group);
    } catch (cause) {
      if (group.signal.aborted) return;
      const error = toAnswerError(cause);
      try {
        if (isChannelError(error) && await this.#hasRefused(group, error)) return;
        this.#fail(error);
      } catch (cause) {
        this.#fail(cause);
      }
    }
  }

  #fail(cause: unknown): void {
    this.#host.down(toAnswerError(cause));
  }

  /** Whether some of the group's channels are refused, and their readers have been told. */
  async #hasRefused({ channels }: Group, error: WeirError): Promise<boolean> {
    const [only] = channels;
    if (only !== undefined && channels.length === 1) {
      this.#host.channels.ended(only, error);
      return true;
    }
    const places = new Map(this.#host.channels.wanted().map((at) => [at.channel, at.after]));
    let isSome = false;
    for (const channel of channels) {
      const after = places.get(channel);
      isSome ||= after === undefined ||
        await readOneEvent(this.#host, channel, after) === undefined;
    }
    return isSome;
  }
}

function groupOf(
  host: TransportHost,
  names: readonly string[],
  signal: AbortSignal,
  onBegan: () => void,
): Group {
  let asked: readonly WantedChannel[] = [];
  return {
    host,
    signal,
    channels: names,
    check() {},
    path(query) {
      const wanted = new Map(host.channels.wanted().map((one) => [one.channel, one]));
      asked = names.flatMap((name) => wanted.get(name) ?? [])
        .filter(({ after }) => isOffset(after));
      if (asked.length === 0) return undefined;
      const channels = asked.map(({ channel }) => channel);
      const cursor = formatCursor(
        channels as Channel[], // the server looks at them
        asked.map(({ after }) => positionOf(after)),
      );
      const list = channels.map((name) => `channel=${encodeURIComponent(name)}`).join("&");
      return `/v1/events?${list}&after=${cursor}&${query}`;
    },
    began() {
      if (signal.aborted) return;
      for (const { channel, after } of asked) host.channels.started(channel, after, after);
      onBegan();
    },
  };
}

function positionOf(offset: string): Position {
  return { epoch: offset.slice(0, 9) as Epoch, sequence: Number(offset.slice(10)) };
}

/** Lists of channels that one request can have. */
function grouped(wanted: readonly WantedChannel[]): readonly (readonly string[])[] {
  const groups: string[][] = [];
  let chars = Infinity;
  for (const channel of wanted.map(({ channel }) => channel).sort()) {
    const length = encodeURIComponent(channel).length;
    chars += length;
    const last = groups.at(-1);
    if (last === undefined || chars > MAX_NAME_CHARS || last.length >= MAX_CHANNELS) {
      groups.push([channel]);
      chars = length;
    } else last.push(channel);
  }
  return groups;
}
