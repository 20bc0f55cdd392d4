import { residentKb } from "./usage.ts";

const SAMPLE_INTERVAL_MS = 20;

/**
 * Watches the peak of the resident memory of processes. The kernel keeps it for each process
 * (`VmHWM`) and can reset it (proc_pid_clear_refs(5)). Where that is not allowed, it is sampled.
 */
export class PeakMemory implements Disposable {
  readonly #pids: readonly number[];
  readonly #reset: (pid: number) => void;
  #sampledKb = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(pids: readonly number[], reset = resetPeak) {
    this.#pids = pids;
    this.#reset = reset;
  }

  /** Begins again: what was used before does not count. */
  start(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    try {
      for (const pid of this.#pids) this.#reset(pid);
    } catch (cause) {
      if (!isDenied(cause)) throw cause;
      this.#sampledKb = residentKb(this.#pids);
      this.#timer = setInterval(() => {
        this.#sampledKb = Math.max(this.#sampledKb, residentKb(this.#pids));
      }, SAMPLE_INTERVAL_MS);
    }
  }

  /** Returns the sum of the peaks of all processes since the last start, in KB of 1,024 bytes. */
  read(): number {
    return this.#timer === undefined
      ? residentKb(this.#pids, "VmHWM")
      : Math.max(this.#sampledKb, residentKb(this.#pids));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function resetPeak(pid: number): void {
  Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5", { create: false });
}

/** A sandbox may lack the file, or refuse to write it. */
function isDenied(cause: unknown): boolean {
  return cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.PermissionDenied;
}
