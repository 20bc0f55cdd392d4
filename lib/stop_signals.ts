/** The signals that stop a server. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Milliseconds after a signal in which further ones count as the same. `deno task` passes a signal
 * on that supervisors and terminals send to the whole process group, so that it arrives twice.
 */
const REPEAT_MS = 1_000;

interface StopSignalHandlers {
  /** Called with the first signal. */
  readonly onFirst: (signal: Deno.Signal) => void;
  /** Called with each signal that is sent again, {@link REPEAT_MS} later or more. */
  readonly onAgain: (signal: Deno.Signal) => void;
}

/** Calls a handler for each signal that stops a server. */
export function onStopSignals({ onFirst, onAgain }: StopSignalHandlers): void {
  let firstAt: number | undefined;
  for (const signal of SIGNALS) {
    Deno.addSignalListener(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        onFirst(signal);
      } else if (now - firstAt >= REPEAT_MS) onAgain(signal);
    });
  }
}

/**
 * Keeps `deno serve` from ending its listener, and with it all WebSockets, on the first signal. It
 * adds a listener of its own for that after it has loaded the main module, which cannot be switched
 * off. This takes the listener instead.
 *
 * @returns what ends the listener of `deno serve`.
 */
export function takeServeListener(): () => void {
  const listeners = new Set<() => void>();
  Deno.addSignalListener = (_signal, listener) => void listeners.add(listener);
  return () => {
    for (const listener of listeners) listener();
  };
}
