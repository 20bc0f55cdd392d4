import { deadline, isTimeoutError } from "../lib/shared/async/deadline.ts";
import { concat } from "../lib/shared/bytes.ts";
import { Problem } from "../lib/shared/problem.ts";

/**
 * Milliseconds in which a body must arrive. Guards against a client that sends a byte now and then
 * and so occupies memory and a request.
 */
const BODY_TIMEOUT_MS = 30_000;
/**
 * Bodies of an announced length up to this are read with one call. That takes a third of the time,
 * but cannot be cancelled: what has arrived stays in memory until the client leaves.
 */
const MAX_ONE_CALL_BYTES = 65_536;
/**
 * Bytes of longer bodies that this isolate reads at once. Guards against many large, slow bodies
 * that fill memory.
 */
const MAX_HELD_BYTES = 128 * 1024 * 1024;
let heldBytes = 0;
/**
 * A body that has already arrived resolves within this many microtasks (measured: 4). It needs no
 * timer, which would cost as much as reading it.
 */
const MICROTASKS = 8;

/**
 * Reads the request's body. Stops reading once it is longer than `maxBytes`.
 *
 * @throws {Problem} `event_too_large`; `body_incomplete` if the client stopped halfway;
 * `request_timeout` after `timeoutMs`; `overloaded`
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  timeoutMs: number = BODY_TIMEOUT_MS,
): Promise<Uint8Array> {
  const announced = announcedLength(request, maxBytes);
  try {
    // The runtime accepts no more bytes than were announced.
    if (announced !== undefined && announced <= MAX_ONE_CALL_BYTES) {
      return await withinTime(request.bytes(), timeoutMs);
    }
    return await readParts(request, maxBytes, timeoutMs);
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

/** Resolves to what `reading` does. @throws {Problem} `request_timeout` after `timeoutMs` */
async function withinTime<T>(reading: Promise<T>, timeoutMs: number): Promise<T> {
  let isSettled = false;
  const settle = () => void (isSettled = true);
  reading.then(settle, settle);
  for (let i = 0; i < MICROTASKS && !isSettled; i++) await undefined;
  if (isSettled) return await reading;
  try {
    return await deadline(reading, timeoutMs);
  } catch (cause) {
    throw isTimeoutError(cause) ? tooSlow(timeoutMs) : cause;
  }
}

async function readParts(
  { body }: Request,
  maxBytes: number,
  timeoutMs: number,
): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void cancel(reader); // ends the read that waits
  }, timeoutMs);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      heldBytes += part.value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      if (heldBytes > MAX_HELD_BYTES) throw overloaded();
      parts.push(part.value);
    }
    if (isLate) throw tooSlow(timeoutMs);
    return concat(parts);
  } finally {
    heldBytes -= length;
    clearTimeout(timer);
    void cancel(reader);
  }
}

async function cancel(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    await reader.cancel();
  } catch {
    // The body has ended early, which the pending read reports.
  }
}

function tooLarge(maxBytes: number): Problem {
  return new Problem("event_too_large", `The body is too large: the maximum is ${maxBytes} bytes.`);
}

function overloaded(): Problem {
  return new Problem("overloaded", "Too many large bodies arrive at once. Try again.");
}

function tooSlow(timeoutMs: number): Problem {
  const seconds = timeoutMs / 1_000;
  return new Problem("request_timeout", `The body did not arrive within ${seconds} s.`);
}
