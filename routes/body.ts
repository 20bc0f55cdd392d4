import type { Caller } from "../lib/auth/caller.ts";
import { deadline, isTimeoutError } from "../lib/shared/async/deadline.ts";
import { concat } from "../lib/shared/bytes.ts";
import { Problem } from "../lib/shared/problem.ts";
import { type ArrivingBody, BodyBudget } from "./body_budget.ts";

/**
 * Milliseconds in which a body must arrive. Guards against a client that sends a byte now and then
 * and so occupies memory and a request.
 */
const BODY_TIMEOUT_MS = 30_000;
/**
 * Bodies of an announced length up to this are read with one call. That takes a third of the time,
 * but cannot be cancelled. Guards against late bodies that stay in memory until their clients leave.
 */
const MAX_ONE_CALL_BYTES = 16_384;
/** Bytes of the first buffer of a longer body, and of each after a part that came slowly. */
const MIN_BUFFER_BYTES = 8_192;
/**
 * Bytes of a buffer of a body that comes quickly. Guards against late bodies whose last buffer the
 * runtime keeps until the client leaves.
 */
const MAX_BUFFER_BYTES = 32_768;
/**
 * A body that has already arrived resolves within this many microtasks (measured: 4). It needs no
 * timer, which would cost as much as reading it.
 */
const MICROTASKS = 8;

const budget = new BodyBudget();

interface BodyOptions {
  /** The longest body that is read. */
  readonly maxBytes: number;
  /** Its IP address shares the memory for bodies with others. */
  readonly caller: Caller;
  /** Milliseconds in which the body must arrive. @default 30_000 */
  readonly timeoutMs?: number;
}

/**
 * Reads the request's body. Stops reading once it is longer than `maxBytes`.
 *
 * @throws {Problem} `event_too_large`; `body_incomplete` if the client stopped halfway;
 * `request_timeout` after `timeoutMs`; `overloaded`
 */
export async function readBody(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const { maxBytes } = options;
  const announced = announcedLength(request, maxBytes);
  try {
    // The runtime accepts no more bytes than were announced.
    if (announced !== undefined && announced <= MAX_ONE_CALL_BYTES) {
      return await readWhole(request, options);
    }
    return await readParts(request, announced, options);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem("body_incomplete", "The body ended before it was complete.", { cause });
  }
}

/**
 * Returns the length of the body in bytes if the client has announced it.
 *
 * @throws {Problem} `event_too_large` if it is more than `maxBytes`
 */
export function announcedLength({ headers }: Request, maxBytes: number): number | undefined {
  const length = headers.get("content-length");
  if (length === null) return undefined;
  if (Number(length) > maxBytes) throw tooLarge(maxBytes);
  return Number(length);
}

/** Counts the memory of a body that the caller sends. @throws {Problem} `overloaded` */
export function openBody(caller: Caller): ArrivingBody {
  return budget.open(ipOf(caller));
}

/** @throws {Problem} `request_timeout`, `overloaded` */
async function readWhole(request: Request, options: BodyOptions): Promise<Uint8Array> {
  const reading = request.bytes();
  let isSettled = false;
  const settle = () => void (isSettled = true);
  reading.then(settle, settle);
  for (let i = 0; i < MICROTASKS && !isSettled; i++) await undefined;
  if (isSettled) return await reading;
  using _counted = openBody(options.caller);
  return await withinTime(reading, options);
}

/** @throws {Problem} `event_too_large`, `request_timeout`, `overloaded` */
async function readParts(
  request: Request,
  announced: number | undefined,
  options: BodyOptions,
): Promise<Uint8Array> {
  const { maxBytes, caller } = options;
  const { body } = request;
  if (body === null) return new Uint8Array();
  using arriving = openBody(caller);
  const reader = byteReaderOf(body);
  if (reader === undefined) { // it has arrived
    const bytes = await request.bytes();
    if (bytes.length > maxBytes) throw tooLarge(maxBytes);
    return bytes;
  }
  const parts = new BodyParts(reader, (bytes) => arriving.add(bytes));
  try {
    return await withinTime(parts.read(announced, maxBytes), options);
  } finally {
    parts.abandon();
  }
}

/** Returns undefined for the body of a request that the runtime had received completely. */
export function byteReaderOf(
  body: ReadableStream<Uint8Array>,
): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/** Collects a body in buffers that are filled before there is another, however small its parts. */
class BodyParts {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #allocate: (bytes: number) => void;
  #full: Uint8Array[] = [];
  #fullBytes = 0;
  #buffer = new Uint8Array();
  /** Bytes of `#buffer` that are filled. */
  #filled = 0;
  #nextBytes = MIN_BUFFER_BYTES;
  #isAbandoned = false;

  /** @param allocate called before the bytes of a buffer are taken; what it throws ends the body */
  constructor(reader: ReadableStreamBYOBReader, allocate: (bytes: number) => void) {
    this.#reader = reader;
    this.#allocate = allocate;
  }

  /** @throws {Problem} `event_too_large`; what `allocate` throws */
  async read(announced: number | undefined, maxBytes: number): Promise<Uint8Array> {
    try {
      while (true) {
        if (this.#filled === this.#buffer.length) this.#nextBuffer();
        const { value, done } = await this.#reader.read(this.#buffer.subarray(this.#filled));
        if (value === undefined || this.#isAbandoned) return new Uint8Array();
        this.#take(value);
        const length = this.#fullBytes + this.#filled;
        if (length > maxBytes) throw tooLarge(maxBytes);
        if (done || length === announced) return this.#all();
      }
    } finally {
      this.#reader.cancel().catch(() => {}); // the read has reported that the body ended early
    }
  }

  /**
   * Drops what has arrived. A read that waits continues until the client sends another byte or leaves,
   * which then ends the connection: if it were cancelled, the runtime would keep its buffer forever.
   */
  abandon(): void {
    this.#isAbandoned = true;
    this.#full = [];
  }

  #take(part: Uint8Array<ArrayBuffer>): void {
    this.#buffer = new Uint8Array(part.buffer);
    this.#nextBytes = part.length === this.#buffer.length
      ? Math.min(2 * part.length, MAX_BUFFER_BYTES)
      : MIN_BUFFER_BYTES;
    this.#filled += part.length;
  }

  #all(): Uint8Array {
    const rest = this.#buffer.subarray(0, this.#filled);
    return this.#full.length === 0 ? rest.slice() : concat([...this.#full, rest]);
  }

  #nextBuffer(): void {
    this.#allocate(this.#nextBytes);
    if (this.#filled > 0) this.#full.push(this.#buffer);
    this.#fullBytes += this.#filled;
    this.#buffer = new Uint8Array(this.#nextBytes);
    this.#filled = 0;
  }
}

/** Resolves to what `reading` does. @throws {Problem} `request_timeout` after `timeoutMs` */
async function withinTime<T>(
  reading: Promise<T>,
  { timeoutMs = BODY_TIMEOUT_MS }: BodyOptions,
): Promise<T> {
  try {
    return await deadline(reading, timeoutMs);
  } catch (cause) {
    throw isTimeoutError(cause) ? tooSlow(timeoutMs) : cause;
  }
}

function ipOf({ authority, ip }: Caller): string {
  return authority.grant.kind === "open" ? "" : ip; // open mode has no limits for one IP
}

function tooLarge(maxBytes: number): Problem {
  return new Problem("event_too_large", `The body is too large: the maximum is ${maxBytes} bytes.`);
}

function tooSlow(timeoutMs: number): Problem {
  const seconds = timeoutMs / 1_000;
  return new Problem("request_timeout", `The body did not arrive within ${seconds} s.`);
}
