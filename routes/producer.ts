import type { Caller } from "../lib/auth/caller.ts";
import type { Producer } from "../lib/publish/draft.ts";
import { parseTraceparent } from "../lib/shared/traceparent.ts";

/** Returns who publishes the events of a request, and in which span. */
export function producerOf(
  { authority }: Pick<Caller, "authority">,
  { headers }: Pick<Request, "headers">,
): Producer {
  const { tenant, publisher } = authority;
  return { tenant, publisher, traceparent: parseTraceparent(headers.get("traceparent")) };
}
