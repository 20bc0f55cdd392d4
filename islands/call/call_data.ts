/** What a member of a call tells the others, in its presence data. */
export interface CallData {
  readonly name: string;
  /** The id of the stream with the member's screen. */
  readonly screen?: string;
}

/** The longest id of a stream that is looked at. Guards against data that fills the page's memory. */
const MAX_ID = 100;

/** Returns the id of the stream with the member's screen. @param data of any member */
export function screenIn(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("screen" in data)) return undefined;
  const { screen } = data;
  return typeof screen === "string" && screen.length <= MAX_ID ? screen : undefined;
}
