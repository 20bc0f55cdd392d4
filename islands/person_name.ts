/** Names that people choose for themselves. They are not verified. */

/** UTF-16 units. Guards against names that leave no space for messages. */
export const MAX_NAME = 40;
// deno-lint-ignore no-control-regex -- matches control characters on purpose
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

/** Returns the name in the data of a member, a message or a typing event. */
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
