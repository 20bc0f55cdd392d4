import type { Presence } from "../api.ts";
import type { WeirError } from "../core/weir_error.ts";

/**
 * A presence that is loaded when it is first used.
 *
 * @param load resolves to the presence, or rejects with a {@link WeirError}.
 * @param onError receives errors that no caller awaits.
 */
export function lazyPresence<T>(
  load: () => Promise<Presence<T>>,
  onError: (error: WeirError) => void,
): Presence<T> {
  let presence: Presence<T> | undefined;
  let loading: Promise<Presence<T>> | undefined;
  const loadOnce = () => loading ??= load().then((loaded) => presence = loaded);
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
        loadOnce().then(({ members }) => {
          if (!isOver) end = members.subscribe(listener);
        }).catch((error: WeirError) => error.code === "closed" || isOver || onError(error));
        return () => end();
      },
    },
    enter: async (...args) => (await loadOnce()).enter(...args),
    leave: async () => (await loading)?.leave(),
  };
}
