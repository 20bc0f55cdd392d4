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

/** UTF-16 units. Guards against names that leave no space for messages. */
export const MAX_NAME = 40;
/** UTF-16 units. Guards against texts that take a browser seconds to lay out. */
export const MAX_TEXT = 20_000;

const UNNAMED = "Someone";
// deno-lint-ignore no-control-regex -- matches control characters on purpose
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

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

/** Returns the name in the data of a message, a typing event or a member. */
export function nameIn(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("name" in data)) return undefined;
  return typeof data.name === "string" ? parseName(data.name) : undefined;
}

/** Cleans up a name for display. Returns undefined if nothing is left. */
export function parseName(text: string): string | undefined {
  const name = text.replaceAll(CONTROLS, " ").replaceAll(/\s+/g, " ").trim();
  // Don't cut a surrogate pair.
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

/** Makes up a name. @param random returns a number from 0 up to 1 */
export function friendlyName(random: () => number): string {
  const quality = QUALITIES[Math.floor(random() * QUALITIES.length)];
  const animal = ANIMALS[Math.floor(random() * ANIMALS.length)];
  return `${quality} ${animal}`;
}
