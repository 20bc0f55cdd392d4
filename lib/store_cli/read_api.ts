import { z } from "zod";
import { readRefusal } from "../client/core/refusal.ts";
import { WeirError } from "../client/core/weir_error.ts";
import { EventSourceParser, type StreamEvent } from "../client/transports/event_source_parser.ts";
import { CliError } from "../keys_cli/cli_error.ts";
import { failureReason } from "../keys_cli/failure_reason.ts";
import { pause } from "../shared/async/delay.ts";

/** Channels of one answer: few, since a limit counts them. */
const PAGE = 100;
/** How long a server may send nothing. A stream has a heartbeat. */
const SILENCE_MS = 60_000;
/** How long requests are repeated that fail. */
const GIVE_UP_MS = 60_000;
const RETRY_MS = 500;

const channelSchema = z.object({
  channel: z.string(),
  changed: z.string(),
  first: z.string().nullable(),
  last: z.string(),
  events: z.int(),
  retention: z.object({ age: z.number(), events: z.number(), bytes: z.number() }),
});
const pageSchema = z.object({ channels: z.array(channelSchema), next: z.string().nullable() });

/** A channel, as `GET /v1/channels/{channel}` has it. */
export type ChannelFigures = z.infer<typeof channelSchema>;

interface ReadApiOptions {
  /** The server's URL, which may have a path. */
  readonly url: URL;
  readonly token: string | undefined;
}

/**
 * Reads channels of a server. Requests are repeated while the server is unavailable or a limit is
 * reached; they fail with a {@link CliError}.
 */
export class ReadApi {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ url, token }: ReadApiOptions) {
    this.#base = `${url.origin}${url.pathname.replace(/\/?$/, "/")}`;
    this.#headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  /** Lists the channels that the credential may read and whose names follow `after`, by name. */
  async *channels(after: string): AsyncGenerator<ChannelFigures, void, void> {
    for (let next: string | null = after; next !== null;) {
      const query: URLSearchParams = new URLSearchParams({ after: next, limit: String(PAGE) });
      const page: z.infer<typeof pageSchema> = await this.#json(`v1/channels?${query}`, pageSchema);
      yield* page.channels;
      next = page.next;
    }
  }

  async channel(name: string): Promise<ChannelFigures> {
    return await this.#json(`v1/channels/${encodeURIComponent(name)}`, channelSchema);
  }

  /** Opens a stream of the events after an offset, with their envelopes. */
  async *events(name: string, after: string): AsyncGenerator<StreamEvent, void, void> {
    const query = new URLSearchParams({ after, envelope: "1" });
    const path = `v1/channels/${encodeURIComponent(name)}/events?${query}`;
    const abort = new AbortController();
    const opening = setTimeout(() => abort.abort(), SILENCE_MS);
    const response = await this.#get(path, "text/event-stream", abort.signal)
      .finally(() => clearTimeout(opening));
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    const parser = new EventSourceParser();
    try {
      while (true) {
        const timer = setTimeout(() => abort.abort(), SILENCE_MS);
        const { value, done } = await reader.read().finally(() => clearTimeout(timer));
        if (done) return;
        yield* parser.push(value);
      }
    } finally {
      abort.abort();
      await reader.cancel().catch(() => {}); // it is aborted
    }
  }

  async #json<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T>> {
    const signal = AbortSignal.timeout(SILENCE_MS);
    const response = await this.#get(path, "application/json", signal);
    const { data } = schema.safeParse(await response.json().catch(() => undefined));
    if (data === undefined) throw new CliError(`${this.#base} is not a Weir server.`);
    return data;
  }

  async #get(path: string, accept: string, signal: AbortSignal): Promise<Response> {
    const headers = { ...this.#headers, Accept: accept };
    for (const end = performance.now() + GIVE_UP_MS;;) {
      let failure: WeirError | undefined;
      let why = "";
      try {
        const response = await fetch(`${this.#base}${path}`, { headers, signal });
        if (response.ok) return response;
        failure = await readRefusal(response);
        why = failure.detail;
      } catch (cause) {
        why = `${failureReason(cause)}.`;
      }
      const { status = 0, retryAfter = RETRY_MS } = failure ?? {};
      const isPassing = failure === undefined || status === 429 || status >= 500;
      if (!isPassing || performance.now() + retryAfter > end) {
        const prefix = failure === undefined ? `Cannot reach a Weir server at ${this.#base}: ` : "";
        throw new CliError(`${prefix}${why}`);
      }
      await pause(retryAfter);
    }
  }
}
