import type { Answer } from "./link.ts";
import { badAnswer } from "./refusal.ts";

/** @throws {WeirError} `bad_answer` */
export function parseObject(text: string): Answer {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
    throw new TypeError("no object");
  } catch (cause) {
    throw badAnswer("The answer is no JSON object.", cause);
  }
}
