import { useEffect, useState } from "preact/hooks";
import type { Observable } from "../lib/client/api.ts";

/** Returns the value of `observable` and renders the component again after each change. */
export function useObservable<T>(observable: Observable<T> | undefined): T | undefined {
  const [value, setValue] = useState<T | undefined>(() => observable?.value);
  useEffect(() => {
    if (observable === undefined) setValue(undefined);
    return observable?.subscribe((next) => setValue(() => next));
  }, [observable]);
  return value;
}
