import { Problem } from "../shared/problem.ts";
import { RateLimiter } from "../shared/rate_limiter.ts";

/**
 * Sockets that an IP may open in a second after it has flooded one. Guards against a client that
 * floods, is sent away and connects again at once: each round costs as much as an honest client's
 * messages of a minute.
 */
const SOCKETS_PER_SECOND = 4;
/** Milliseconds after a flood in which the IP is limited. */
const WATCH_MS = 60_000;
/** IPs that are remembered. Guards against floods from so many that the list fills memory. */
const MAX_IPS = 10_000;

/** Limits how fast an IP opens sockets after one of its sockets was closed for flooding. */
export class FloodLimiter {
  readonly #now: () => number;
  readonly #opened: RateLimiter;
  /** The time of the last flood by IP, the oldest first. */
  readonly #floods = new Map<string, number>();

  /** @param now milliseconds of a clock that never goes backwards */
  constructor(now: () => number) {
    this.#now = now;
    this.#opened = new RateLimiter({ now });
  }

  /** Counts a socket that is to be opened. @throws {Problem} `rate_limited` */
  open(ip: string): void {
    const floodedAt = this.#floods.get(ip);
    if (floodedAt === undefined) return;
    if (this.#now() - floodedAt >= WATCH_MS) {
      this.#floods.delete(ip);
      return;
    }
    const { ok, remaining, retryAfterMs } = this.#opened.take(ip, SOCKETS_PER_SECOND);
    if (ok) return;
    const quota = {
      policy: "address-sockets",
      limit: SOCKETS_PER_SECOND,
      remaining,
      retryAfterMs,
    };
    throw new Problem(
      "rate_limited",
      `This IP address has flooded a socket: it may open ${SOCKETS_PER_SECOND} per second.`,
      { quota },
    );
  }

  /** Remembers that a socket of `ip` was closed for flooding. */
  flooded(ip: string): void {
    if (ip === "") return;
    this.#floods.delete(ip);
    this.#floods.set(ip, this.#now());
    for (const oldest of this.#floods.keys()) {
      if (this.#floods.size <= MAX_IPS) break;
      this.#floods.delete(oldest);
    }
  }
}
