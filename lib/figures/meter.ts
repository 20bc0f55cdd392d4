import type { HubObserver, ResumeResult } from "../hub/hub_observer.ts";
import type { LogObserver } from "../log/log_observer.ts";
import { type ChannelKey, channelOf, FIGURES_CHANNEL_KEY, type Tenant } from "../shared/channel.ts";
import type { Gap } from "../shared/event.ts";
import type { Sample } from "../shared/figures.ts";
import { Histogram, type HistogramTotals } from "../shared/histogram.ts";
import { Problem } from "../shared/problem.ts";
import { type ProblemCode, PROBLEMS } from "../shared/problem_codes.ts";
import { SizeHistogram, type SizeTotals } from "./size_histogram.ts";
import { type TenantCounts, TenantMeter } from "./tenant_meter.ts";

/** What was counted since the last sample. */
export type SampleCounts = Pick<
  Sample,
  "publishes" | "events" | "ephemeral" | "deliveries" | "durations"
>;

/** What was counted since the isolate started. */
export interface MeterTotals extends Omit<SampleCounts, "durations"> {
  /** Commits that the store has answered, by result. */
  readonly commits: Readonly<Record<"stored" | "conflict", number>>;
  /** Events in each commit that was stored. */
  readonly commitEvents: SizeTotals;
  readonly storeErrors: Readonly<Record<"read" | "commit", number>>;
  /** Gaps, once for each reader. */
  readonly gaps: Readonly<Record<Gap["reason"], number>>;
  readonly resumes: Readonly<Record<ResumeResult, number>>;
  /** Ephemeral events, once for each subscriber. */
  readonly ephemeralDeliveries: Readonly<Record<"sent" | "dropped", number>>;
  readonly refusals: Readonly<Record<ProblemCode, number>>;
  /** Refusals by a limit's policy, such as `credential-publishes`. */
  readonly limited: Readonly<Record<string, number>>;
  readonly goodbyes: Readonly<Record<string, number>>;
  /** By the tenant's name. Empty if tenants have no figures of their own. */
  readonly tenants: Readonly<Record<string, TenantCounts>>;
  readonly durations: Readonly<Record<keyof SampleCounts["durations"], HistogramTotals>>;
}

type Counts = Omit<SampleCounts, "durations">;

const NOTHING: Counts = {
  publishes: { accepted: 0, refused: 0 },
  events: 0,
  ephemeral: 0,
  deliveries: { live: 0, caughtUp: 0 },
};

/**
 * Counts what an isolate does. Counting takes an addition or two for each publish, commit and
 * delivery, and nothing for each event or subscriber. The channel of the figures is not counted:
 * viewing the figures would change them.
 */
export class Meter implements LogObserver, HubObserver {
  /** Open connections that are counted nowhere else. */
  readonly open = { sse: 0, longPoll: 0 };
  /** Called when the channel of the figures is read. */
  onFiguresRead: () => void = () => {};
  #accepted = 0;
  #refused = 0;
  #events = 0;
  #ephemeral = 0;
  #live = 0;
  #caughtUp = 0;
  /** The counts at the last call of {@link take}. */
  #taken = NOTHING;
  readonly #commits = { stored: 0, conflict: 0 };
  readonly #storeErrors = { read: 0, commit: 0 };
  readonly #gaps = { expired: 0, recreated: 0, restored: 0, ahead: 0 };
  readonly #resumes = { current: 0, replayed: 0, gap: 0 };
  readonly #ephemeralDeliveries = { sent: 0, dropped: 0 };
  readonly #refusals = zeroCounts(Object.keys(PROBLEMS) as ProblemCode[]);
  /** Refusals of limits by policy. */
  readonly #limited: Record<string, number> = {};
  readonly #goodbyes: Record<string, number> = {};
  readonly #commitEvents = new SizeHistogram();
  readonly #publish = new Histogram();
  readonly #commit = new Histogram();
  readonly #delivery = new Histogram();
  readonly #eventLoop = new Histogram();
  readonly #tenants: TenantMeter | undefined;

  /** @param tenants those that have figures of their own */
  constructor(tenants: readonly Tenant[] = []) {
    if (tenants.length > 0) this.#tenants = new TenantMeter(tenants);
  }

  /** Counts a connection until the result is disposed, which disposes `connection` too. */
  connected(kind: "sse" | "longPoll", connection: Disposable): Disposable {
    this.open[kind]++;
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (isOpen) this.open[kind]--;
        isOpen = false;
        connection[Symbol.dispose]();
      },
    };
  }

  /** A publish was refused. */
  refused(): void {
    this.#refused++;
  }

  /** A request, message or line was refused, or has failed with an unexpected error. */
  problem(cause: unknown): void {
    const code = cause instanceof Problem ? cause.code : "internal";
    this.#refusals[code]++;
    if (code !== "rate_limited" && code !== "too_many_connections") return;
    // Such as `credential-publishes`. The limits of single connections have no policy.
    const { policy = "connection-messages" } = (cause as Problem).quota ?? {};
    this.#limited[policy] = (this.#limited[policy] ?? 0) + 1;
  }

  /** Counts a goodbye. It is bound, so that thousands of connections share it. */
  readonly saidGoodbye = (reason: string): void => {
    this.#goodbyes[reason] = (this.#goodbyes[reason] ?? 0) + 1;
  };

  /** A timer was late. */
  delayed(delayMs: number): void {
    this.#eventLoop.record(delayMs);
  }

  appended(channelKey: ChannelKey, durationMs: number): void {
    if (channelOf(channelKey).startsWith("$")) return; // the server itself publishes there
    this.#accepted++;
    this.#publish.record(durationMs);
    if (this.#tenants !== undefined) this.#tenants.of(channelKey).publishes++;
  }

  stored(channelKey: ChannelKey, events: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#events += events;
    if (this.#tenants !== undefined) this.#tenants.of(channelKey).events += events;
  }

  committed(result: "stored" | "conflict", events: number, durationMs: number): void {
    this.#commit.record(durationMs);
    this.#commits[result]++;
    if (result === "stored" && events > 0) this.#commitEvents.record(events);
  }

  storeFailed(operation: "read" | "commit"): void {
    this.#storeErrors[operation]++;
  }

  read(channelKey: ChannelKey): void {
    if (channelKey === FIGURES_CHANNEL_KEY) this.onFiguresRead();
  }

  flushed(channelKey: ChannelKey, deliveries: number, durationMs: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#live += deliveries;
    this.#delivery.record(durationMs, deliveries);
    if (this.#tenants !== undefined) this.#tenants.of(channelKey).deliveries += deliveries;
  }

  caughtUp(channelKey: ChannelKey, events: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#caughtUp += events;
    if (this.#tenants !== undefined) this.#tenants.of(channelKey).deliveries += events;
  }

  gap(channelKey: ChannelKey, reason: Gap["reason"], readers: number): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#gaps[reason] += readers;
  }

  resumed(channelKey: ChannelKey, result: ResumeResult): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#resumes[result]++;
  }

  ephemeralPublished(channelKey: ChannelKey): void {
    this.#accepted++;
    this.#ephemeral++;
    if (this.#tenants !== undefined) this.#tenants.of(channelKey).publishes++;
  }

  ephemeralDelivered({ sent, dropped }: { readonly sent: number; readonly dropped: number }): void {
    this.#ephemeralDeliveries.sent += sent;
    this.#ephemeralDeliveries.dropped += dropped;
  }

  /** Returns what was counted since the last call. */
  take(): SampleCounts {
    const [counts, before] = [this.#counts(), this.#taken];
    this.#taken = counts;
    const { publishes, deliveries } = counts;
    return {
      publishes: {
        accepted: publishes.accepted - before.publishes.accepted,
        refused: publishes.refused - before.publishes.refused,
      },
      events: counts.events - before.events,
      ephemeral: counts.ephemeral - before.ephemeral,
      deliveries: {
        live: deliveries.live - before.deliveries.live,
        caughtUp: deliveries.caughtUp - before.deliveries.caughtUp,
      },
      durations: {
        publish: this.#publish.take(),
        commit: this.#commit.take(),
        delivery: this.#delivery.take(),
        eventLoop: this.#eventLoop.take(),
      },
    };
  }

  /** Returns all that was counted. It changes nothing, so that anyone may ask at any time. */
  totals(): MeterTotals {
    return {
      ...this.#counts(),
      commits: { ...this.#commits },
      commitEvents: this.#commitEvents.totals(),
      storeErrors: { ...this.#storeErrors },
      gaps: { ...this.#gaps },
      resumes: { ...this.#resumes },
      ephemeralDeliveries: { ...this.#ephemeralDeliveries },
      refusals: { ...this.#refusals },
      limited: { ...this.#limited },
      goodbyes: { ...this.#goodbyes },
      tenants: this.#tenants?.totals() ?? {},
      durations: {
        publish: this.#publish.totals(),
        commit: this.#commit.totals(),
        delivery: this.#delivery.totals(),
        eventLoop: this.#eventLoop.totals(),
      },
    };
  }

  #counts(): Counts {
    return {
      publishes: { accepted: this.#accepted, refused: this.#refused },
      events: this.#events,
      ephemeral: this.#ephemeral,
      deliveries: { live: this.#live, caughtUp: this.#caughtUp },
    };
  }
}

/** Returns a count of 0 for each name. */
export function zeroCounts<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
