import { type EventLine, lineError } from "../client/server/publish_lines.ts";
import { WeirError } from "../client/core/weir_error.ts";
import type { InputLine } from "./input_lines.ts";

interface EventLineOptions {
  /** The channel of all events, whose data the lines are. @default each line is an event */
  readonly channel: string | undefined;
  /** Returns the id of an event that has none. Undefined if it shall have none. */
  readonly newId: () => string | undefined;
}

/**
 * Returns a line of the input as the server takes it, or why it cannot be sent. The text of the data
 * stays as it is, since JavaScript would change numbers of many digits.
 */
export function eventLine(
  { text, fault }: InputLine,
  { channel, newId }: EventLineOptions,
): EventLine | WeirError {
  if (fault === "too long") {
    return new WeirError("event_too_large", "The line is longer than an event can be.");
  }
  if (text === undefined) return new WeirError("bad_encoding", "The line is not UTF-8.");
  const value = parse(text);
  const line = channel === undefined
    ? wholeEvent(text, value, newId)
    : value === undefined
    ? new WeirError("bad_json", "The line is not JSON.")
    : dataOf(text, channel, newId());
  if (line instanceof WeirError) return line;
  return lineError(line.text) ?? line;
}

/** Puts the text of data into an event. */
function dataOf(text: string, channel: string, id: string | undefined): EventLine {
  const idMember = id === undefined ? "" : `"id":${JSON.stringify(id)},`;
  return {
    text: `{"channel":${JSON.stringify(channel)},${idMember}"data":${text}}`,
    isRepeatable: id !== undefined,
  };
}

/** Gives an event an id. What is no event is sent as it is: the server says what is wrong. */
function wholeEvent(
  text: string,
  value: { readonly json: unknown } | undefined,
  newId: () => string | undefined,
): EventLine {
  const json = value?.json;
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return { text, isRepeatable: true };
  }
  const { id, ephemeral } = json as { readonly id?: unknown; readonly ephemeral?: unknown };
  // An ephemeral event has no id. Sent again, it would be delivered twice.
  if (ephemeral === true) return { text, isRepeatable: false };
  const isEmpty = Object.keys(json).length === 0;
  const given = id === undefined && !isEmpty ? newId() : undefined;
  if (given === undefined) return { text, isRepeatable: isEmpty || id !== undefined };
  const start = text.indexOf("{") + 1;
  return {
    text: `${text.slice(0, start)}"id":${JSON.stringify(given)},${text.slice(start)}`,
    isRepeatable: true,
  };
}

function parse(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return undefined; // reported by the caller
  }
}
