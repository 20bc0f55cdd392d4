import { MAX_RETRY_AFTER_MS } from "./retry_delay.ts";
import { WeirError } from "./weir_error.ts";

/** Reads a refusal from problem details (RFC 9457). Other answers are not from a Weir server. */
export async function readRefusal(response: Response): Promise<WeirError> {
  const { status, headers } = response;
  const retryAfter = parseRetryAfter(headers.get("Retry-After"), headers.get("Date"));
  try {
    const { code, detail, index } = JSON.parse(await response.text());
    if (typeof code === "string") {
      return new WeirError(code, String(detail), { status, retryAfter, index });
    }
  } catch {
    // not problem details: reported below
  }
  const detail = `The answer has status ${status}. Is this a Weir server?`;
  return new WeirError("bad_answer", detail, { status, retryAfter });
}

/**
 * Returns milliseconds (RFC 9110 §10.2.3). Weir sends seconds. A proxy may send a date, which
 * counts from the answer's own date because clocks differ.
 */
function parseRetryAfter(header: string | null, date: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const from = date === null ? Date.now() : Date.parse(date);
  const delayMs = Number.isNaN(seconds) ? Date.parse(header) - from : seconds * 1_000;
  return delayMs >= 0 ? Math.min(delayMs, MAX_RETRY_AFTER_MS) : undefined;
}
