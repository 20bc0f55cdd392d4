import type { Transport, TransportHost } from "../connection/transport.ts";
import { toAnswerError } from "../core/errors.ts";
import type { WeirError } from "../core/weir_error.ts";
import { isOffset } from "../../shared/offset.ts";
import { type ChannelGroup, groupChannels, makeChannelGroup } from "./channel_group.ts";
import { requestJson } from "./http.ts";
import { isChannelError, readOneEvent, resolveAnchors } from "./resolve_anchors.ts";

/** Requests that stay open. Browsers open six connections to a server over HTTP/1.1. */
const MAX_OPEN_GROUPS = 4;

/** Reads until the group's signal aborts or all its readers have left. @throws {WeirError} */
type ReadGroup = (group: ChannelGroup) => Promise<void>;

/**
 * Opens a transport over HTTP requests.
 *
 * @param read reads a group by a request that stays open.
 * @param readMore reads further groups by requests that are answered immediately.
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
  #groups: readonly ChannelGroup[] = [];
  /** Identifies what is being read. */
  #signature = "";
  #abort = new AbortController();
  #started = () => {};
  #isUpdating = false;
  #isStale = false;

  constructor(host: TransportHost, read: ReadGroup, readMore: ReadGroup) {
    this.#host = host;
    this.#read = read;
    this.#readMore = readMore;
    host.signal.addEventListener("abort", () => this.#abort.abort());
  }

  /** Resolves when the first group is answered, or with nothing to read, when the server answers. */
  async open(): Promise<void> {
    const started = new Promise<void>((resolve) => this.#started = resolve);
    await this.#update();
    if (this.#host.signal.aborted) return;
    if (this.#groups.length > 0) return await started;
    const { signal, timing } = this.#host;
    await requestJson(this.#host, "/healthz", { signal, timeoutMs: 2 * timing.heartbeatMs });
  }

  update(): boolean {
    const hasAll = !this.#isUpdating && this.#groups.every(({ isStarted }) => isStarted);
    void this.#update();
    return hasAll;
  }

  check(): void {
    for (const { check } of this.#groups) check();
  }

  async #update(): Promise<void> {
    this.#isStale = true;
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    try {
      while (this.#isStale && !this.#host.signal.aborted) {
        this.#isStale = false;
        await resolveAnchors(this.#host, true);
        this.#regroup();
      }
    } catch (cause) {
      this.#fail(cause);
    }
    this.#isUpdating = false;
  }

  #regroup(): void {
    const host = this.#host;
    if (host.signal.aborted) return;
    const wanted = host.channels.wanted().filter(({ after }) => isOffset(after));
    const signature = JSON.stringify(wanted.map(({ channel, revision }) => [channel, revision]));
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const onStarted = () => this.#started();
    this.#groups = groupChannels(wanted).map((channels) =>
      makeChannelGroup({ host, channels, signal, onStarted })
    );
    for (const [i, group] of this.#groups.entries()) {
      void this.#run(group, i < MAX_OPEN_GROUPS ? this.#read : this.#readMore);
    }
  }

  async #run(group: ChannelGroup, read: ReadGroup): Promise<void> {
    try {
      await read(group);
    } catch (cause) {
      if (group.signal.aborted) return;
      const error = toAnswerError(cause);
      try {
        if (isChannelError(error) && await this.#endRefused(group, error)) return;
        this.#fail(error);
      } catch (cause) {
        this.#fail(cause);
      }
    }
  }

  #fail(cause: unknown): void {
    this.#host.down(toAnswerError(cause));
  }

  /** Ends the feeds of the channels that are refused. Returns whether there were any. */
  async #endRefused({ channels }: ChannelGroup, error: WeirError): Promise<boolean> {
    const [only] = channels;
    if (only !== undefined && channels.length === 1) {
      this.#host.channels.ended(only, error);
      return true;
    }
    const wanted = this.#host.channels.wanted();
    const positions = new Map(wanted.map(({ channel, after }) => [channel, after]));
    let hasRefused = false;
    for (const channel of channels) {
      const after = positions.get(channel);
      hasRefused ||= after === undefined ||
        await readOneEvent(this.#host, channel, after) === undefined;
    }
    return hasRefused;
  }
}
