import type { Member, Presence } from "../api.ts";
import type { Observable } from "../core/observable.ts";
import type { WeirError } from "../core/weir_error.ts";

/** The members before they are known: one array, so that the value stays the same. */
export const NOBODY: readonly Member<never>[] = [];

/** A presence of the lazy chunk. */
export interface LoadedPresence<T> extends Presence<T> {
  readonly members: ChangingMembers<T>;
}

/** Members that a listener may follow without being called immediately. */
interface ChangingMembers<T> extends Observable<readonly Member<T>[]> {
  onChange(listener: (members: readonly Member<T>[]) => void): () => void;
}

/**
 * A presence that is loaded when it is first used.
 *
 * @param load resolves to the presence, or rejects with a {@link WeirError}.
 * @param onError receives errors that no caller awaits.
 */
export function lazyPresence<T>(
  load: () => Promise<LoadedPresence<T>>,
  onError: (error: WeirError) => void,
): Presence<T> {
  let presence: LoadedPresence<T> | undefined;
  let loading: Promise<LoadedPresence<T>> | undefined;
  const loadOnce = () => loading ??= load().then((loaded) => presence = loaded);
  return {
    members: {
      get value() {
        return presence?.members.value ?? NOBODY;
      },
      subscribe(listener) {
        if (presence) return presence.members.subscribe(listener);
        let isOver = false;
        let end = (): void => {
          isOver = true;
        };
        listener(NOBODY);
        loadOnce().then(({ members }) => {
          if (!isOver) end = members.onChange(listener);
        }).catch((error: WeirError) => error.code === "closed" || isOver || onError(error));
        return () => end();
      },
    },
    enter: async (...args) => (await loadOnce()).enter(...args),
    leave: async () => (await loading)?.leave(),
  };
}
