import type { Draft, Log } from "../log/log.ts";
import { type Member, memberId } from "../presence/member.ts";
import type { Presence } from "../presence/presence.ts";
import { KeyedSerialQueue } from "../shared/async/serial_queue.ts";
import { channelOf } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { MAX_BYTES_OF_SENDER, MAX_SIGNALS_OF_SENDER, SenderQuota } from "./sender_quota.ts";
import { type Signal, signalDraft, type SignalSender } from "./signal.ts";

interface SignalsOptions {
  readonly presence: Pick<Presence, "sessionsOf">;
  readonly log: Pick<Log, "append">;
  /** Channels that one commit of the store may have. */
  readonly maxChannels: number;
  /** Returns milliseconds of a clock that never jumps. @default {performance.now} */
  readonly monotonicNow?: () => number;
}

interface SendOptions {
  readonly sender: SignalSender;
  readonly signal: Signal;
  /** Counts further copies of the signal, before they are stored. What it throws refuses all. */
  readonly countCopies: (copies: number) => void;
}

/** Sends signals: puts them into the inboxes of sessions. */
export class Signals {
  readonly #options: SignalsOptions;
  /** Keep the order of each sender's signals, which wait for reads of different rows. */
  readonly #senders = new KeyedSerialQueue();
  readonly #quota: SenderQuota;

  constructor(options: SignalsOptions) {
    this.#options = options;
    this.#quota = new SenderQuota(options.monotonicNow ?? (() => performance.now()));
  }

  /**
   * Stores a signal in the inbox of one session, or of all named sessions of a member. Resolves with
   * their names once it is durable. Signals of one sender are stored in the order of the calls.
   *
   * @throws {Problem} `not_a_member`, `no_such_member`, `inbox_full`, `bad_channel`, `contended`,
   * `commit_unknown`, `overloaded`, `storage_*`, `shutting_down`; what `countCopies` throws
   */
  async send({ sender, signal, countCopies }: SendOptions): Promise<readonly string[]> {
    const reading = this.#readSessions(sender, signal);
    reading.catch(() => {}); // handled in turn
    const { sessions, stored } = await this.#senders.run(senderId(sender), async () => {
      const sessions = receiversOf(signal, await reading);
      const drafts = sessions.map((session) => signalDraft(sender, signal, session));
      if (sessions.length > 1) countCopies(sessions.length - 1);
      this.#countSender(sender.member, drafts);
      // The next signal need not wait until this one is stored: the log keeps their order.
      return { sessions, stored: this.#store(drafts) };
    });
    await stored;
    return sessions;
  }

  /**
   * Returns the sessions of the member that the signal is for; undefined if nobody is that member.
   *
   * @throws {Problem} `not_a_member`, `storage_*`
   */
  async #readSessions(
    { member, session, hasJoined }: SignalSender,
    { to }: Signal,
  ): Promise<readonly string[] | undefined> {
    const { presence } = this.#options;
    const reading = presence.sessionsOf({ channelKey: member.channelKey, name: to });
    if (hasJoined) return await reading;
    // Both reads share a round trip.
    const [own, others] = await Promise.all([presence.sessionsOf(member), reading]);
    if (session === undefined || !own?.includes(session)) throw notAMember(member);
    return others;
  }

  /** @throws {Problem} `inbox_full` if the member has sent too much to one of the inboxes. */
  #countSender(member: Member, drafts: readonly Draft[]): void {
    const retryAfterMs = this.#quota.take(member, drafts);
    if (retryAfterMs === undefined) return;
    throw new Problem(
      "inbox_full",
      `An inbox takes at most ${MAX_SIGNALS_OF_SENDER} signals and ${MAX_BYTES_OF_SENDER} bytes of one member in a minute.`,
      { retryAfterMs },
    );
  }

  /** Appends to all inboxes, in one commit if the store can. */
  #store(drafts: readonly Draft[]): Promise<unknown> {
    const { log, maxChannels } = this.#options;
    const appends: Promise<unknown>[] = [];
    for (let start = 0; start < drafts.length; start += maxChannels) {
      appends.push(log.append(drafts.slice(start, start + maxChannels)));
    }
    const stored = Promise.all(appends);
    stored.catch(() => {}); // send() throws it
    return stored;
  }
}

function notAMember({ channelKey }: Pick<Member, "channelKey">): Problem {
  const channel = quote(channelOf(channelKey));
  return new Problem(
    "not_a_member",
    `Only members of ${channel} can send signals there: enter first.`,
  );
}

/** @throws {Problem} `no_such_member`: the same if the member exists, but not the session. */
function receiversOf(
  { to, toSession }: Signal,
  sessions: readonly string[] | undefined,
): readonly string[] {
  const receivers = toSession === undefined
    ? sessions ?? []
    : sessions?.filter((session) => session === toSession) ?? [];
  if (receivers.length > 0) return receivers;
  const what = toSession === undefined ? "" : ` with the session ${quote(toSession)}`;
  throw new Problem("no_such_member", `There is no member ${quote(to)}${what} that has an inbox.`);
}

function senderId({ member, session = "" }: SignalSender): string {
  return `${memberId(member)}\0${session}`;
}
