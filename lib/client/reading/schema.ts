import type { StandardSchema } from "../api.ts";
import type { WeirEvent } from "../core/event.ts";
import { WeirError } from "../core/weir_error.ts";

/** Returns the event with its data as validated by `schema`. @throws {WeirError} `bad_data` */
export async function validateEvent<T>(
  event: WeirEvent,
  schema: StandardSchema<T> | undefined,
): Promise<WeirEvent<T>> {
  if (!schema) return event as WeirEvent<T>; // the caller vouches for the type
  try {
    const { issues: [issue] = [], ...outcome } = await schema["~standard"].validate(event.data);
    if ("value" in outcome) return { ...event, data: outcome.value };
    throw new Error(issue?.message);
  } catch (cause) {
    const { offset, channel } = event;
    const detail = `The data of ${offset} in ${channel} does not match the schema: ${cause}`;
    throw new WeirError("bad_data", detail, { cause });
  }
}
