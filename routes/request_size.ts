import { Problem } from "../lib/shared/problem.ts";

/**
 * Of a request's whole URL. Met: queries that cost their parsing time, and what a proxy in front
 * would refuse anyway (RFC 9110 §4.1 asks for 8,000 at least). What headers may take is bounded by
 * Deno: 64 KiB and 128 of them over HTTP/1.1 (400), 16 KiB over HTTP/2 (431). Counting them here
 * would cost more than all else that is read from a request.
 */
export const MAX_URL_CHARS = 8_192;

/** @throws {Problem} `uri_too_long` */
export function checkRequestSize({ url }: Request): void {
  if (url.length <= MAX_URL_CHARS) return;
  const detail = `The URL has ${url.length} characters: ${MAX_URL_CHARS} at the most.`;
  throw new Problem("uri_too_long", detail);
}
