/** What somebody said, as the data of an event of the type {@link MESSAGE_TYPE}. */
export interface Message {
  readonly name: string;
  readonly text: string;
  /** RFC 3339, UTC: when it was written, by the clock of who wrote it. */
  readonly at?: string | undefined;
}

export const MESSAGE_TYPE = "chat.message";
/** The type of the ephemeral event that says that somebody writes. */
export const TYPING_TYPE = "typing";

/** UTF-16 units. Met: a name that leaves no room for what is said. */
export const MAX_NAME = 40;
/** UTF-16 units that can be sent. Met: a text that takes a browser seconds to lay out. */
export const MAX_TEXT = 20_000;

const UNNAMED = "Someone";
// deno-lint-ignore no-control-regex -- which is what it is for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

/** The message that the data of an event is, whoever published it; undefined: it is none. */
export function parseMessage(data: unknown): Message | undefined {
  if (typeof data !== "object" || data === null || !("text" in data)) return undefined;
  const { text } = data;
  if (typeof text !== "string" || text.trim() === "") return undefined;
  const at = "at" in data && typeof data.at === "string" && !Number.isNaN(Date.parse(data.at))
    ? data.at
    : undefined;
  return { name: nameIn(data) ?? UNNAMED, text, ...at !== undefined && { at } };
}

/** The name in the data of a message, a typing note or a member. */
export function nameIn(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("name" in data)) return undefined;
  return typeof data.name === "string" ? parseName(data.name) : undefined;
}

/** A name as it is shown; undefined: nothing is left of it. */
export function parseName(text: string): string | undefined {
  const name = text.replaceAll(CONTROLS, " ").replaceAll(/\s+/g, " ").trim();
  // Cut between characters, not within one.
  return name === "" ? undefined : Array.from(name).slice(0, MAX_NAME).join("").trim();
}

const QUALITIES = [
  "Amber",
  "Brisk",
  "Calm",
  "Clever",
  "Gentle",
  "Golden",
  "Happy",
  "Keen",
  "Kind",
  "Lively",
  "Lucky",
  "Merry",
  "Nimble",
  "Quiet",
  "Silver",
  "Sunny",
] as const;

const ANIMALS = [
  "Badger",
  "Beaver",
  "Curlew",
  "Dipper",
  "Finch",
  "Hare",
  "Heron",
  "Kestrel",
  "Lark",
  "Otter",
  "Pike",
  "Plover",
  "Salmon",
  "Swift",
  "Trout",
  "Wren",
] as const;

/** A name for who has not chosen one. @param random 0 ≤ random < 1. */
export function friendlyName(random: () => number): string {
  const quality = QUALITIES[Math.floor(random() * QUALITIES.length)];
  const animal = ANIMALS[Math.floor(random() * ANIMALS.length)];
  return `${quality} ${animal}`;
}
