import { concat } from "../lib/shared/bytes.ts";
import { Problem } from "../lib/shared/problem.ts";

/**
 * The request's body, of `max` bytes at the most. A longer one is not read to its end.
 *
 * @throws {Problem} `event_too_large`; `body_incomplete` where the sender stopped half-way.
 */
export async function readBody(request: Request, max: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get("content-length") ?? NaN);
  if (announced > max) throw tooLarge(max);
  try {
    // A length that was announced is one that the server keeps the sender to.
    if (!Number.isNaN(announced)) return await request.bytes();
    return await readWithin(request, max);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem("body_incomplete", "The request's body broke off.", { cause });
  }
}

async function readWithin({ body }: Request, max: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > max) throw tooLarge(max);
    parts.push(part);
  }
  return concat(parts);
}

function tooLarge(max: number): Problem {
  return new Problem("event_too_large", `The body is too large: ${max} bytes at the most.`);
}
