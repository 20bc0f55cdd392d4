import { toAnswerError } from "./errors.ts";

/** A JSON object as the server sent it, or as it is sent to the server. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a JSON object or array. @throws {WeirError} `bad_answer` */
export function parseJsonObject(text: string): JsonObject {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
    throw new TypeError("no object");
  } catch (cause) {
    throw toAnswerError(cause);
  }
}
