import { type ApiResult, channelPath, request } from "./requests.ts";

/** An event as it was typed. Empty fields are not set. */
export interface EventInput {
  readonly data: string;
  readonly format: "json" | "text";
  readonly type: string;
  readonly key: string;
  readonly id: string;
  /** Whole seconds. */
  readonly ttl: string;
  readonly isEphemeral: boolean;
}

export interface FormOutcome {
  readonly isError: boolean;
  readonly text: string;
}

interface Acknowledgement {
  readonly offset: string;
  readonly duplicate?: true;
}

/**
 * Publishes what was typed byte for byte. Parsing it first would change numbers that JavaScript
 * cannot represent.
 *
 * @param id used if none was typed. Pass the same one for each try of the same event.
 */
export async function publishInput(
  channel: string,
  typed: EventInput,
  id: string,
): Promise<FormOutcome> {
  const fault = faultOf(typed);
  if (fault !== undefined) return { isError: true, text: fault };
  const answer = await request<Acknowledgement>("POST", `${channelPath(channel)}/events`, {
    headers: headersOf(typed, id),
    body: typed.data,
  });
  return outcomeOf(answer, typed.isEphemeral);
}

/** Finds faults that would prevent the request from being sent. */
function faultOf({ type, key, id }: EventInput): string | undefined {
  for (const [name, text] of [["type", type], ["key", key], ["id", id]]) {
    if (/[^\x20-\x7e]/.test(text ?? "")) {
      return `The ${name} is sent in a header and can contain only ASCII characters.`;
    }
  }
  return undefined;
}

function headersOf(typed: EventInput, id: string): Readonly<Record<string, string>> {
  const { format, type, key, ttl, isEphemeral } = typed;
  const kept = {
    "Idempotency-Key": typed.id === "" ? id : typed.id,
    ...key !== "" && { "Weir-Key": key },
    ...ttl !== "" && { "Weir-TTL": ttl },
  };
  return {
    "Content-Type": format === "json" ? "application/json" : "text/plain",
    ...type !== "" && { "Weir-Type": type },
    ...isEphemeral ? { "Weir-Ephemeral": "1" } : kept,
  };
}

function outcomeOf(answer: ApiResult<Acknowledgement>, isEphemeral: boolean): FormOutcome {
  if (!answer.ok) {
    const text = answer.status === 0
      ? `Not acknowledged. ${answer.detail} You can publish again: it is stored only once.`
      : answer.detail;
    return { isError: true, text };
  }
  if (isEphemeral) {
    return { isError: false, text: "Sent to current subscribers. It is not stored." };
  }
  const { offset, duplicate } = answer.body;
  return {
    isError: false,
    text: duplicate ? `Already stored at ${offset}.` : `Stored at ${offset}.`,
  };
}
