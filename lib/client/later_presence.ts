import type { Presence } from "./api.ts";
import { later } from "./later.ts";
import type { Link } from "./link.ts";
import { repeated } from "./repeated.ts";
import type { WeirError } from "./weir_error.ts";

/** As makePresence() of presence.ts, which is loaded once something is done with it. */
export function laterPresence<T>(
  link: Link,
  channel: string,
  tell: (error: WeirError) => void,
): Presence<T> {
  let presence: Presence<T> | undefined;
  let loading: Promise<Presence<T>> | undefined;
  const load = () =>
    loading ??= repeated(link, later).then(({ makePresence }) =>
      presence = makePresence<T>(link, channel, tell)
    );
  return {
    members: {
      get value() {
        return presence?.members.value ?? [];
      },
      subscribe(listener) {
        let isOver = false;
        let end = (): void => {
          isOver = true;
        };
        load().then(({ members }) => {
          if (!isOver) end = members.subscribe(listener);
        }).catch((error: WeirError) => error.code === "closed" || isOver || tell(error));
        return () => end();
      },
    },
    enter: async (...args) => (await load()).enter(...args),
    leave: async () => (await loading)?.leave(),
  };
}
