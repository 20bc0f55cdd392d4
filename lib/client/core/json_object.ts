import { toAnswerError } from "./errors.ts";

/** The members of a message to or from the server. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a JSON object or array. @throws {WeirError} `bad_answer` */
export function parseJsonObject(text: string): JsonObject {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
    throw new TypeError("not an object");
  } catch (cause) {
    throw toAnswerError(cause);
  }
}
