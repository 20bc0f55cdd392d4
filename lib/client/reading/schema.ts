import type { StandardSchema } from "../api.ts";
import type { WeirEvent } from "../core/event.ts";
import { WeirError } from "../core/weir_error.ts";

/** The event with what `schema` makes of its data. @throws {WeirError} `bad_data` */
export async function checkedEvent<T>(
  event: WeirEvent,
  schema: StandardSchema<T> | undefined,
): Promise<WeirEvent<T>> {
  if (schema === undefined) return event as WeirEvent<T>; // T is the caller's word then
  try {
    const { issues: [issue] = [], ...outcome } = await schema["~standard"].validate(event.data);
    if ("value" in outcome) return { ...event, data: outcome.value };
    throw new Error(issue?.message);
  } catch (cause) {
    const where = `${event.offset} in ${event.channel}`;
    const detail = `The data of ${where} is not as its schema says: ${cause}`;
    throw new WeirError("bad_data", detail, { cause });
  }
}
