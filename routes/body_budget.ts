import { Problem } from "../lib/shared/problem.ts";

/**
 * Bytes that all bodies which are still arriving at this isolate take. Guards against many slow or
 * large bodies that fill memory.
 */
const MAX_BYTES = 128 * 2 ** 20;
/** Bytes of those that clients of one IP take. Guards against one that uses up all of them. */
const MAX_IP_BYTES = MAX_BYTES / 2;
/**
 * Bytes that each body takes in addition to its own (measured: 25 KB more than an idle connection).
 * Guards against many bodies of which little arrives.
 */
const BODY_COST_BYTES = 32 * 1024;

/** Counts the memory of bodies that are still arriving. */
export class BodyBudget {
  #bytes = 0;
  readonly #byIp = new Map<string, number>();

  /** Counts one body from `ip`, which is "" if it does not count. @throws {Problem} `overloaded` */
  open(ip: string): ArrivingBody {
    return new ArrivingBody((bytes) => this.#take(ip, bytes));
  }

  /** Gives bytes back if `bytes` is negative. @throws {Problem} `overloaded` */
  #take(ip: string, bytes: number): void {
    const ofIp = (this.#byIp.get(ip) ?? 0) + bytes;
    if (bytes > 0 && (this.#bytes + bytes > MAX_BYTES || (ip !== "" && ofIp > MAX_IP_BYTES))) {
      const whose = this.#bytes + bytes > MAX_BYTES ? "" : " from this IP address";
      throw new Problem("overloaded", `Too many bodies${whose} arrive at once. Try again.`);
    }
    this.#bytes += bytes;
    if (ofIp > 0 && ip !== "") this.#byIp.set(ip, ofIp);
    else this.#byIp.delete(ip);
  }
}

/** The memory of one body, which counts until it is disposed of. */
export class ArrivingBody implements Disposable {
  readonly #take: (bytes: number) => void;
  #bytes = 0;

  /** @throws {Problem} `overloaded` */
  constructor(take: (bytes: number) => void) {
    this.#take = take;
    this.add(BODY_COST_BYTES);
  }

  /** @throws {Problem} `overloaded` */
  add(bytes: number): void {
    this.#take(bytes);
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    this.#take(-this.#bytes);
    this.#bytes = 0;
  }
}
