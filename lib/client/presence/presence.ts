import type { Link } from "../core/link.ts";
import type { WeirError } from "../core/weir_error.ts";
import type { LoadedPresence } from "./lazy_presence.ts";
import { MemberList } from "./member_list.ts";
import { MembershipHolder } from "./membership_holder.ts";

/** @param report receives errors that no caller awaits. */
export function makePresence<T>(
  link: Link,
  channel: string,
  report: (error: WeirError) => unknown,
): LoadedPresence<T> {
  const onError = (error: WeirError) => error.code === "closed" || report(error);
  const holder = new MembershipHolder(link, channel, onError);
  return {
    members: new MemberList<T>(link, channel, onError),
    enter: (data, options = {}) => holder.enter(data, options),
    leave: () => holder.leave(),
  };
}
