import type { Authority } from "../auth/authority.ts";
import type { EndReason, Sessions } from "../auth/sessions.ts";
import type { Hub } from "../hub/hub.ts";
import type { Sink } from "../hub/sink.ts";
import type { Subscription } from "../hub/subscription.ts";
import type { After } from "../shared/cursor.ts";
import { Problem } from "../shared/problem.ts";
import { type Found, makePage, type Page, type PageOptions, readPage } from "./page.ts";

const CODES = { expired: "token_expired", revoked: "token_revoked" } as const;
const WORDS: Readonly<Record<EndReason, string>> = {
  expired: "The credential has expired while it waited.",
  revoked: "The credential was revoked while it waited.",
};

export interface LongPollOptions extends PageOptions {
  /** Milliseconds to wait for an event. */
  readonly wait: number;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  readonly sessions: Sessions;
  readonly authority: Authority;
}

/**
 * The page after `after`: at once if there is something, else as soon as there is, else the empty
 * one when the time is over, the client has gone or the server stops. A long poll is a
 * subscription that ends with its first events.
 *
 * @throws {Problem} `storage_*`; `token_expired` or `token_revoked` where the credential has ended
 * meanwhile.
 */
export async function longPoll(hub: Hub, after: After, options: LongPollOptions): Promise<Page> {
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<void>();
  // Before the first look: whose credential ends during it must not begin to wait.
  using _session = options.sessions.open(crypto.randomUUID(), options.authority, {
    expiring() {},
    changed() {},
    end: (reason) => reject(new Problem(CODES[reason], WORDS[reason])),
  });
  ended.catch(() => {}); // it may be there before anyone waits for it
  const page = await readPage(hub, after, options);
  if (!page.isEmpty || options.signal.aborted) return page;
  const found: Found[] = [];
  const closed = Promise.withResolvers<void>();
  const subscriptions: Subscription[] = [];
  const timer = setTimeout(end, options.wait);
  const onAbort = () => end();
  options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (const [index, address] of options.addresses.entries()) {
      const hasRoom = () => !found.some((of) => of.index === index);
      const sink: Sink = {
        write: (runs) => {
          found.push({ index, runs });
          end();
          return false;
        },
        hasRoom,
        // Full after its first runs: what comes later belongs to the next poll.
        drained: () => hasRoom() ? Promise.resolve() : closed.promise,
        close: () => end(),
      };
      const position = page.vector.positions[index] ?? "latest";
      subscriptions.push(await hub.subscribe(address, position, sink));
    }
    for (const subscription of subscriptions) subscription.start();
    await ended;
  } catch (cause) {
    // As if it had been waiting when the server began to stop: the client comes back all the same.
    if (!(cause instanceof Problem && cause.code === "shutting_down")) throw cause;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
    for (const subscription of subscriptions) subscription.close();
    closed.resolve();
  }
  return found.length === 0 ? page : makePage(page.vector, found, options.limit, true);
}
