/** The speed is the mean over this time, so that it can be read. */
const WINDOW_MS = 3_000;

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

/** Measures the speed of a transfer from how many bytes have arrived by when. */
export class SpeedMeter {
  #samples: Sample[] = [];

  /** Forgets the past, for example after a pause. */
  reset(): void {
    this.#samples = [];
  }

  /** @param at milliseconds of a clock that never goes back */
  add(at: number, bytes: number): void {
    this.#samples.push({ at, bytes });
    // The oldest sample is the last one before the window, so that the window is covered.
    while ((this.#samples[1]?.at ?? Infinity) <= at - WINDOW_MS) this.#samples.shift();
  }

  /** Bytes per second. Undefined before there are two samples. */
  get bytesPerSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at <= first.at) return undefined;
    return Math.max(0, (last.bytes - first.bytes) / (last.at - first.at) * 1_000);
  }
}

/** Returns the milliseconds that `bytes` take, or undefined while nothing arrives. */
export function timeFor(bytes: number, bytesPerSecond: number | undefined): number | undefined {
  return bytesPerSecond === undefined || bytesPerSecond <= 0
    ? undefined
    : bytes / bytesPerSecond * 1_000;
}
