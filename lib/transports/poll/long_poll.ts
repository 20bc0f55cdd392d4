import type { Authority } from "../../auth/authority.ts";
import type { Connections, EndReason } from "../../auth/connections.ts";
import type { Hub } from "../../hub/hub.ts";
import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { Sink } from "../../hub/sink.ts";
import type { Subscription } from "../../hub/subscription.ts";
import type { After } from "../../shared/cursor.ts";
import { Problem } from "../../shared/problem.ts";
import { jsonEphemeralMembers } from "../json_encoding.ts";
import {
  type ChannelRuns,
  makePage,
  type ReadOptions,
  type ReadPage,
  readPage,
} from "./read_page.ts";

const CODES = { expired: "token_expired", revoked: "token_revoked" } as const;
const WORDS: Readonly<Record<EndReason, string>> = {
  expired: "The credential has expired while it waited.",
  revoked: "The credential was revoked while it waited.",
};

export interface LongPollOptions extends ReadOptions {
  /** Milliseconds to wait for an event. */
  readonly waitMs: number;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  readonly connections: Connections;
  readonly authority: Authority;
}

/**
 * How long a poll that has ephemeral events waits for more of them, in ms. Met: one who publishes
 * such, and has everyone who polls come back hundreds of times a second.
 */
const GATHER_MS = 50;
/** Characters of them with which it waits no longer. */
const MAX_GATHERED = 128 * 1024;

/**
 * The page after `after`: at once if there is something, else as soon as there is, else the empty
 * one when the time is over, the client has gone or the server stops. A long poll is a
 * subscription that ends with its first events, which may be ephemeral ones.
 *
 * @throws {Problem} `storage_*`; `token_expired` or `token_revoked` where the credential has ended
 * meanwhile.
 */
export async function longPoll(
  hub: Hub,
  after: After,
  options: LongPollOptions,
): Promise<ReadPage> {
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<void>();
  // Before the first look: whose credential ends during it must not begin to wait.
  using _connection = options.connections.open(crypto.randomUUID(), options.authority, {
    expiring() {},
    changed() {},
    end: (reason) => reject(new Problem(CODES[reason], WORDS[reason])),
  });
  ended.catch(() => {}); // it may be there before anyone waits for it
  const page = await readPage(hub, after, options);
  if (!page.isEmpty || options.signal.aborted) return page;
  const found: ChannelRuns[] = [];
  const ephemeral: EphemeralBatch[] = [];
  let gathered = 0;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  const closed = Promise.withResolvers<void>();
  const subscriptions: Subscription[] = [];
  const timer = setTimeout(end, options.waitMs);
  const onAbort = () => end();
  options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (const [index, channelKey] of options.channelKeys.entries()) {
      const hasRoom = () => !found.some((of) => of.index === index);
      const sink: Sink = {
        write: (runs) => {
          found.push({ index, runs });
          end();
          return false;
        },
        deliverEphemeral: (batch) => {
          ephemeral.push(batch);
          for (const { data } of batch.events) gathered += data.length;
          gathering ??= setTimeout(end, GATHER_MS);
          if (gathered >= MAX_GATHERED) end();
        },
        hasRoom,
        // Full after its first runs: what comes later belongs to the next poll.
        drained: () => hasRoom() ? Promise.resolve() : closed.promise,
        close: () => end(),
      };
      const position = page.positions.at(index) ?? "latest";
      subscriptions.push(await hub.subscribe(channelKey, position, sink));
    }
    for (const subscription of subscriptions) subscription.start();
    await ended;
  } catch (cause) {
    // As if it had been waiting when the server began to stop: the client comes back all the same.
    if (!(cause instanceof Problem && cause.code === "shutting_down")) throw cause;
  } finally {
    clearTimeout(timer);
    clearTimeout(gathering);
    options.signal.removeEventListener("abort", onAbort);
    for (const subscription of subscriptions) subscription.close();
    closed.resolve();
  }
  const answer = found.length === 0 ? page : makePage(page.positions, found, options.limit, true);
  return ephemeral.length === 0 ? answer : withEphemeral(answer, ephemeral);
}

/** The same page, which has ephemeral events too: it stays at its cursor. */
function withEphemeral(page: ReadPage, noted: readonly EphemeralBatch[]): ReadPage {
  const members = noted.flatMap((batch) => batch.encode(jsonEphemeralMembers));
  const events = members.map((one) => `{${one}}`).join(",");
  return { ...page, body: `{"ephemeral":[${events}],${page.body.slice(1)}`, isEmpty: false };
}
