import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";
import type { TransportName } from "../../lib/client/core/state.ts";
import { OPEN_TIMEOUT_MS } from "../../lib/client/transports/webtransport.ts";
import { FakeClock } from "./clock.ts";

/** A client's platform on a {@link FakeClock}, with the network of this machine. */
export class FakePlatform {
  readonly clock = new FakeClock();
  /** Returned by `random()`. */
  random = 0.5;
  isOnline = true;
  isHidden = false;
  readonly #listeners = new Set<() => void>();

  /** @param members override those of this platform. */
  platform(members: Partial<Platform> = {}): Platform {
    const { now, setTimeout, clearTimeout } = this.clock;
    return {
      ...PLATFORM,
      now,
      setTimeout,
      clearTimeout,
      random: () => this.random,
      isOnline: () => this.isOnline,
      isHidden: () => this.isHidden,
      watch: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      ...members,
    };
  }

  /** Notifies the client that `isOnline` or `isHidden` has changed. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * The platform of this machine, except that pauses between attempts (1 to 4 s) take 10 ms. Timeouts
 * are longer and stay as they are.
 */
export const QUICK_RETRIES: Platform = {
  ...PLATFORM,
  random: () => 0,
  setTimeout: (callback, ms) => PLATFORM.setTimeout(callback, ms > 1_000 && ms <= 4_000 ? 10 : ms),
};

/**
 * The same for a client that uses WebTransport, which may take 2 s to open. A first check for silence
 * comes after 1 s, since UDP that is cut is silent. It is too early for a heartbeat of 15 s, which
 * then gets the rest of its time.
 */
const QUICK_RETRIES_OVER_QUIC: Platform = {
  ...QUICK_RETRIES,
  setTimeout: (callback, ms) => {
    const platform = ms === OPEN_TIMEOUT_MS ? PLATFORM : QUICK_RETRIES;
    return platform.setTimeout(callback, ms === 15_000 ? 1_000 : ms);
  },
};

/** Returns the one of the two for a client of `transport`. */
export function quickRetriesOver(transport: TransportName): Platform {
  return transport === "webtransport" ? QUICK_RETRIES_OVER_QUIC : QUICK_RETRIES;
}

export interface ShortTimersOptions {
  /** No timer takes longer. */
  readonly maxMs: number;
  /** 0 ≤ random < 1. @default {Math.random} */
  readonly random?: () => number;
  /** Added to the time of the clock. @default 0 */
  readonly clockErrorMs?: number;
}

/** Returns the platform of this machine with shorter timers, so that minutes take seconds. */
export function shortTimers({ maxMs, random, clockErrorMs = 0 }: ShortTimersOptions): Platform {
  return {
    ...PLATFORM,
    now: () => PLATFORM.now() + clockErrorMs,
    random: random ?? PLATFORM.random,
    setTimeout: (callback, ms) => PLATFORM.setTimeout(callback, Math.min(ms, maxMs)),
  };
}

export interface FastPlatform {
  readonly platform: Platform;
  /** Returns the milliseconds that have passed on the platform's own clock. */
  readonly elapsed: () => number;
}

/** Makes a platform whose clock and timers run `factor` times as fast as those of this machine. */
export function fastPlatform(factor: number): FastPlatform {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) * factor;
  const began = Date.now();
  return {
    elapsed,
    platform: {
      ...PLATFORM,
      now: () => began + elapsed(),
      random: () => 0.5,
      setTimeout: (callback, ms) => PLATFORM.setTimeout(callback, ms / factor),
    },
  };
}
