import { deadline, isTimeoutError } from "../lib/shared/async/deadline.ts";
import { concat } from "../lib/shared/bytes.ts";
import { Problem } from "../lib/shared/problem.ts";

/**
 * A body's time from its first to its last byte, in ms. Met: a sender of a byte now and then, who
 * would hold memory and a request for as long as it likes.
 */
const BODY_TIME = 30_000;
/**
 * An announced body up to this size is read in one go, in bytes: that takes a third of the time,
 * but can't be called off, so what has come stays in memory until its sender leaves.
 */
const ONE_GO_BYTES = 65_536;
/**
 * Bytes of longer bodies that are being read at once, in this isolate. Met: many large bodies that
 * come slowly, and memory that fills with them.
 */
const MAX_HELD_BYTES = 128 * 1024 * 1024;
let heldBytes = 0;
/**
 * What is there already is read within this many microtasks (measured: 4). Such a body needs no
 * timer, which would cost as much as reading it.
 */
const MICROTASKS = 8;

/**
 * The request's body, of `max` bytes at the most. A longer one is not read to its end.
 *
 * @param time milliseconds that it may take.
 * @throws {Problem} `event_too_large`; `body_incomplete` where the sender stopped half-way;
 * `request_timeout`; `overloaded`
 */
export async function readBody(
  request: Request,
  max: number,
  time: number = BODY_TIME,
): Promise<Uint8Array> {
  const announced = announcedLength(request, max);
  try {
    // A length that was announced is one that the server keeps the sender to.
    if (announced !== undefined && announced <= ONE_GO_BYTES) {
      return await withinTime(request.bytes(), time);
    }
    return await readParts(request, max, time);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem("body_incomplete", "The request's body broke off.", { cause });
  }
}

/**
 * How many bytes the body will have, if the sender has said so.
 *
 * @throws {Problem} `event_too_large` where it is more than `max`.
 */
export function announcedLength({ headers }: Request, max: number): number | undefined {
  const length = headers.get("content-length");
  if (length === null) return undefined;
  if (Number(length) > max) throw tooLarge(max);
  return Number(length);
}

/** What `reading` comes to, if it does within so many milliseconds. */
async function withinTime<T>(reading: Promise<T>, time: number): Promise<T> {
  let isSettled = false;
  const settle = () => void (isSettled = true);
  reading.then(settle, settle);
  for (let i = 0; i < MICROTASKS && !isSettled; i++) await undefined;
  if (isSettled) return await reading;
  try {
    return await deadline(reading, time);
  } catch (cause) {
    throw isTimeoutError(cause) ? tooSlow(time) : cause;
  }
}

async function readParts({ body }: Request, max: number, time: number): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void leave(reader); // ends the read that waits
  }, time);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      heldBytes += part.value.length;
      if (length > max) throw tooLarge(max);
      if (heldBytes > MAX_HELD_BYTES) throw overloaded();
      parts.push(part.value);
    }
    if (isLate) throw tooSlow(time);
    return concat(parts);
  } finally {
    heldBytes -= length;
    clearTimeout(timer);
    void leave(reader);
  }
}

async function leave(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    await reader.cancel();
  } catch {
    // The body broke off: who reads it is told.
  }
}

function tooLarge(max: number): Problem {
  return new Problem("event_too_large", `The body is too large: ${max} bytes at the most.`);
}

function overloaded(): Problem {
  return new Problem("overloaded", "Too many large bodies come at once; try again.");
}

function tooSlow(time: number): Problem {
  const seconds = time / 1_000;
  return new Problem("request_timeout", `The body did not come within ${seconds} s.`);
}
