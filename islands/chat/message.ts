import { nameIn } from "../person_name.ts";

/** A chat message: the data of an event of the type {@link MESSAGE_TYPE}. */
export interface Message {
  readonly name: string;
  readonly text: string;
  /** RFC 3339, UTC: when it was written, by the author's clock. */
  readonly at?: string | undefined;
}

export const MESSAGE_TYPE = "chat.message";
/** The type of the ephemeral event that says that someone is typing. */
export const TYPING_TYPE = "typing";

/** UTF-16 units. Guards against texts that take a browser seconds to lay out. */
export const MAX_TEXT = 20_000;

const UNNAMED = "Someone";
/** Parses the data of an event of any publisher. Returns undefined if it is not a message. */
export function parseMessage(data: unknown): Message | undefined {
  if (typeof data !== "object" || data === null || !("text" in data)) return undefined;
  const { text } = data;
  if (typeof text !== "string" || text.trim() === "") return undefined;
  const at = "at" in data && typeof data.at === "string" && !Number.isNaN(Date.parse(data.at))
    ? data.at
    : undefined;
  return { name: nameIn(data) ?? UNNAMED, text, ...at !== undefined && { at } };
}
