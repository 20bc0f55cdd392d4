import type { Answer } from "./link.ts";
import { unreadable } from "./refusal.ts";

/** @throws {WeirError} `bad_answer` */
export function parseObject(text: string): Answer {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
    throw new TypeError("no object");
  } catch (cause) {
    throw unreadable(cause);
  }
}
